use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicU32;

use super::*;

/// Far more than any test needs; a test that fails waits this long once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A destination whose moods a test commands.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    /// One entry per file: reopening begins a new one.
    files: Vec<Vec<u8>>,
    /// Bytes that fit before writes fail; `None` for no bound.
    room: Option<usize>,
    reopen_fails: bool,
    /// Nothing was rotated away: reopening finds the file it left.
    same_file: bool,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }

    fn files(&self) -> Vec<String> {
        self.state().files.iter().map(|file| String::from_utf8(file.clone()).unwrap()).collect()
    }
}

impl Sink for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let count = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.room = state.room.map(|room| room - count);
        if state.files.is_empty() {
            state.files.push(Vec::new());
        }
        state.files.last_mut().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn reopen(&mut self) -> io::Result<bool> {
        let mut state = self.state();
        if state.reopen_fails {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.same_file {
            return Ok(false);
        }
        state.files.push(Vec::new());
        Ok(true)
    }
}

/// A destination that lets a test hold the writing thread inside a write.
struct Pipe {
    entered: std::sync::mpsc::Sender<usize>,
    leave: std::sync::mpsc::Receiver<()>,
}

impl Sink for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.entered.send(bytes.len()).map_err(io::Error::other)?;
        // An error means that the test has let go for good.
        _ = self.leave.recv();
        Ok(bytes.len())
    }

    fn reopen(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// The interval never ends within a test, so only what is asked for is written.
fn settings(capacity_bytes: usize) -> Settings {
    Settings { capacity_bytes, interval: Duration::from_secs(3600), ..Settings::new(Destination::Stdout) }
}

fn writer(disk: &Disk) -> LineWriter {
    LineWriter::start(Box::new(disk.clone()), &settings(1 << 20)).unwrap()
}

/// A directory of a test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("edgeward-writer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn writes_lines_in_the_order_of_their_thread() {
    let disk = Disk::default();
    let writer = writer(&disk);
    for record in ["one", "two", "", "three"] {
        writer.append(record.as_bytes());
    }
    assert_eq!(disk.files().concat(), "", "appending writes nothing by itself");
    assert_eq!(writer.flush(PATIENCE), Ok(()));
    assert_eq!(disk.files(), ["one\ntwo\n\nthree\n"]);
    assert_eq!(writer.counts().written(), 4);
}

#[test]
fn writes_by_itself_when_the_interval_ends() {
    let disk = Disk::default();
    let settings = Settings { interval: Duration::from_millis(1), ..settings(1 << 20) };
    let writer = LineWriter::start(Box::new(disk.clone()), &settings).unwrap();
    writer.append(b"line");
    let deadline = std::time::Instant::now() + PATIENCE;
    while disk.files().is_empty() {
        assert!(std::time::Instant::now() < deadline, "nothing was written");
        thread::yield_now();
    }
    assert_eq!(disk.files(), ["line\n"]);
}

#[test]
fn keeps_lines_of_many_threads_whole() {
    let disk = Disk::default();
    let writer = LineWriter::start(Box::new(disk.clone()), &settings(64 << 20)).unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let writer = &writer;
            scope.spawn(move || {
                for number in 0..2000 {
                    writer.append(format!("{thread} {number} {}", "x".repeat(number % 97)).as_bytes());
                }
            });
        }
    });
    writer.flush(PATIENCE).unwrap();
    let text = disk.files().concat();
    let mut next = [0; 8];
    for line in text.lines() {
        let [thread, number, filling] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?}")
        };
        let (thread, number): (usize, usize) = (thread.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, next[thread], "lines of a thread keep their order");
        assert_eq!(filling, "x".repeat(number % 97));
        next[thread] += 1;
    }
    assert_eq!(next, [2000; 8]);
}

#[test]
fn drops_and_counts_what_exceeds_the_bound_and_takes_lines_again_after() {
    let disk = Disk::default();
    // A shard takes 8 bytes.
    let writer = LineWriter::start(Box::new(disk.clone()), &settings(8 * 2 * SHARDS)).unwrap();
    disk.state().room = Some(0);
    writer.append(b"a");
    // With this one stuck, however often the writing thread wakes, it takes no more from the shard.
    assert_eq!(writer.flush(PATIENCE), Err(FlushError::Refused));
    writer.append(b"much too long");
    writer.append(b"1234567");
    writer.append(b"");
    assert_eq!(writer.counts().dropped(), 2);
    disk.state().room = None;
    writer.flush(PATIENCE).unwrap();
    writer.append(b"7654321");
    writer.flush(PATIENCE).unwrap();
    assert_eq!(disk.files(), ["a\n1234567\n7654321\n"]);
    assert_eq!(writer.counts().dropped(), 2);
}

#[test]
fn writes_early_once_a_shard_is_half_full() {
    let (entered, writes) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel();
    let pipe = Pipe { entered, leave: left };
    let writer = LineWriter::start(Box::new(pipe), &settings(100 * 2 * SHARDS)).unwrap();
    writer.append(&[b'x'; 48]);
    assert!(writes.try_recv().is_err(), "49 of 100 bytes wait for the interval");
    writer.append(b"");
    assert_eq!(writes.recv_timeout(PATIENCE), Ok(50), "50 of 100 bytes are written at once");
    drop(leave);
}

#[test]
fn never_makes_a_caller_wait_for_a_stuck_destination() {
    let (entered, writes) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel();
    let writer =
        LineWriter::start(Box::new(Pipe { entered, leave: left }), &settings(16 * 2 * SHARDS)).unwrap();
    writer.append(b"first");
    writer.nudge();
    writes.recv_timeout(PATIENCE).unwrap();
    for _ in 0..100 {
        writer.append(b"second");
    }
    assert_eq!(writer.counts().dropped(), 98, "two of seven bytes fit into sixteen");
    assert_eq!(writer.flush(Duration::from_millis(1)), Err(FlushError::TimedOut));
    drop(leave);
    assert_eq!(writer.flush(PATIENCE), Ok(()));
    assert_eq!(writer.counts().written(), 3);
}

#[test]
fn goes_on_where_a_full_disk_stopped_it() {
    let disk = Disk::default();
    let writer = writer(&disk);
    disk.state().room = Some(5);
    writer.append(b"one");
    writer.append(b"two");
    assert_eq!(writer.flush(PATIENCE), Err(FlushError::Refused));
    assert_eq!(disk.files(), ["one\nt"]);
    writer.append(b"three");
    assert_eq!(writer.flush(PATIENCE), Err(FlushError::Refused));
    assert_eq!((writer.counts().errors(), writer.counts().written()), (2, 0));
    disk.state().room = None;
    assert_eq!(writer.flush(PATIENCE), Ok(()));
    assert_eq!(disk.files(), ["one\ntwo\nthree\n"]);
    assert_eq!((writer.counts().written(), writer.counts().dropped()), (3, 0));
}

#[test]
fn reopens_before_the_next_write() {
    let disk = Disk::default();
    let writer = writer(&disk);
    writer.append(b"old");
    writer.flush(PATIENCE).unwrap();
    writer.reopen();
    writer.append(b"new");
    writer.flush(PATIENCE).unwrap();
    assert_eq!(disk.files(), ["old\n", "new\n"]);
}

#[test]
fn begins_a_reopened_file_with_the_whole_line_that_the_old_one_lacks() {
    let disk = Disk::default();
    let writer = writer(&disk);
    disk.state().room = Some(6);
    writer.append(b"one");
    writer.append(b"two");
    assert_eq!(writer.flush(PATIENCE), Err(FlushError::Refused));
    disk.state().room = None;
    writer.reopen();
    writer.flush(PATIENCE).unwrap();
    assert_eq!(disk.files(), ["one\ntw", "two\n"]);
}

#[test]
fn does_not_repeat_half_a_line_in_a_file_that_was_not_rotated() {
    let disk = Disk::default();
    let writer = writer(&disk);
    disk.state().room = Some(6);
    disk.state().same_file = true;
    writer.append(b"one");
    writer.append(b"two");
    assert_eq!(writer.flush(PATIENCE), Err(FlushError::Refused));
    disk.state().room = None;
    writer.reopen();
    writer.flush(PATIENCE).unwrap();
    assert_eq!(disk.files(), ["one\ntwo\n"]);
}

#[test]
fn keeps_the_old_file_until_the_new_one_opens() {
    let disk = Disk::default();
    let writer = writer(&disk);
    disk.state().reopen_fails = true;
    writer.reopen();
    writer.append(b"one");
    assert_eq!(writer.flush(PATIENCE), Ok(()), "the line is written all the same");
    assert_eq!(writer.counts().errors(), 1);
    disk.state().reopen_fails = false;
    writer.append(b"two");
    writer.flush(PATIENCE).unwrap();
    assert_eq!(disk.files(), ["one\n", "two\n"]);
}

#[test]
fn writes_what_is_queued_when_dropped() {
    let disk = Disk::default();
    let writer = writer(&disk);
    let counts = writer.counts();
    writer.append(b"last words");
    drop(writer);
    assert_eq!(disk.files(), ["last words\n"]);
    assert_eq!(counts.written(), 1, "counts outlive the writer");
}

#[test]
fn appends_to_a_file_and_follows_its_rotation() {
    let directory = Directory::new();
    let (path, rotated) = (directory.0.join("access.log"), directory.0.join("access.log.1"));
    fs::write(&path, "kept\n").unwrap();
    let writer = LineWriter::open(&Settings::new(Destination::File(path.clone()))).unwrap();
    writer.append(b"one");
    writer.flush(PATIENCE).unwrap();
    fs::rename(&path, &rotated).unwrap();
    writer.append(b"two");
    writer.flush(PATIENCE).unwrap();
    writer.reopen();
    writer.append(b"three");
    writer.flush(PATIENCE).unwrap();
    assert_eq!(fs::read_to_string(&rotated).unwrap(), "kept\none\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o027, 0, "strangers read no client addresses: {mode:o}");
}

#[test]
fn says_which_file_it_cannot_open() {
    let directory = Directory::new();
    let path = directory.0.join("missing").join("access.log");
    let error =
        LineWriter::open(&Settings::new(Destination::File(path.clone()))).err().expect("no such directory");
    assert_eq!(error.to_string(), format!("cannot open log file {}", path.display()));
    assert!(LineWriter::open(&Settings::new(Destination::Stderr)).is_ok());
}
