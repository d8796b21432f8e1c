//! As a service: what systemd is told, what it passes, and its own opinion of the units.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{DEADLINE, Folder, tools};
use crate::process::Site;

const POLICY: &str = r#"
admin: { address: "{admin}" }
listeners: [{ address: "{listen}" }]
routes: [{ name: hello, match: { path: / }, respond: { body: hello } }]
"#;

/// What listens where `NOTIFY_SOCKET` points.
struct Manager {
    socket: UnixDatagram,
    folder: Folder,
}

impl Manager {
    fn new() -> Self {
        let folder = Folder::new();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, folder }
    }

    fn address(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    /// The next message.
    fn hears(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// The next message that does not only say that the process is alive.
    fn hears_news(&self) -> String {
        loop {
            let message = self.hears();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since the start")]
fn monotonic_usec() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    (seconds * 1e6) as u64
}

#[test]
fn systemd_is_told_each_step() {
    let manager = Manager::new();
    let site = Site::new(POLICY, &[]).env("NOTIFY_SOCKET", manager.address());
    let mut first = site.start();
    assert_eq!(manager.hears(), "READY=1\nSTATUS=serving");

    first.signal(Signal::HUP);
    let reloading = manager.hears();
    let usec =
        reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
    let usec: u64 = usec.parse().unwrap();
    // The same clock, but for times asleep, and hundredths.
    assert!(usec <= monotonic_usec() + 20_000 && usec + 60_000_000 > monotonic_usec());
    assert_eq!(manager.hears(), "READY=1\nSTATUS=serving");

    site.rewrite("listeners: []\nroutes: {}\n");
    first.signal(Signal::HUP);
    assert!(manager.hears().starts_with("RELOADING=1\n"));
    let status = manager.hears();
    assert!(status.starts_with("READY=1\nSTATUS=serving; last reload failed with 2 errors"), "{status}");
    site.rewrite(POLICY);

    first.signal(Signal::USR2);
    let message = manager.hears();
    let pid: u32 = message.strip_prefix("MAINPID=").unwrap_or_else(|| panic!("{message}")).parse().unwrap();
    site.adopt(pid);
    assert_ne!(pid, first.pid());
    assert_eq!(manager.hears(), "READY=1\nSTATUS=serving", "from the successor");
    assert_eq!(site.pid_file(first.pid()), pid);
    assert_eq!(first.ended().code(), Some(0));

    crate::process::signal(pid, Signal::TERM);
    assert_eq!(manager.hears(), "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=20000000");
    manager.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(manager.socket.recv(&mut [0; 8]).is_err(), "the first process stopped, the service did not");
}

#[test]
fn a_watched_process_says_that_it_is_alive_until_it_hands_over() {
    let manager = Manager::new();
    let site = Site::new(POLICY, &[]).env("NOTIFY_SOCKET", manager.address()).env("WATCHDOG_USEC", 200_000);
    let mut first = site.start();
    assert_eq!(manager.hears_news(), "READY=1\nSTATUS=serving");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    first.signal(Signal::USR2);
    let pid = manager.hears_news().strip_prefix("MAINPID=").unwrap().parse().unwrap();
    site.adopt(pid);
    assert_eq!(manager.hears_news(), "READY=1\nSTATUS=serving");
    assert_eq!(first.ended().code(), Some(0));
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1", "the successor takes the duty over");
    }
    crate::process::signal(pid, Signal::KILL);
}

#[test]
fn a_process_that_is_not_watched_feeds_no_watchdog() {
    let manager = Manager::new();
    let site = Site::new(POLICY, &[])
        .env("NOTIFY_SOCKET", manager.address())
        .env("WATCHDOG_USEC", 20_000)
        .env("WATCHDOG_PID", 1);
    let first = site.start();
    assert_eq!(manager.hears(), "READY=1\nSTATUS=serving");
    first.signal(Signal::TERM);
    assert!(manager.hears().starts_with("STOPPING=1\n"));
}

#[test]
fn the_runtime_directory_is_the_one_that_systemd_made() {
    let policy = POLICY.replace("admin:", "server: {}\nadmin:");
    let site = Site::new(&policy, &[]);
    let directory = site.folder.path().join("made");
    let site = site.env("RUNTIME_DIRECTORY", directory.display());
    let first = site.start();
    assert_eq!(site.folder.read("made/edgeward.pid"), format!("{}\n", first.pid()));
}

#[test]
fn sockets_that_systemd_holds_are_used() {
    if !tools::has("systemd-socket-activate") {
        return;
    }
    // The port is systemd's; to bind it once more would fail.
    let site = Site::new(POLICY, &[]);
    let mut manager = Command::new("systemd-socket-activate")
        .args(["-l", &site.address("listen").to_string()])
        .arg(site.folder.path().join("edgeward"))
        .args(["run", "policy.yaml"])
        .current_dir(site.folder.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::harness::soon("the socket", || std::net::TcpStream::connect(site.address("listen")).is_ok());
    let answer = site.client("listen").get("/");
    let pid = manager.id();
    assert_eq!(site.pid_file(0), pid, "it becomes the process");
    crate::process::signal(pid, Signal::TERM);
    assert_eq!(manager.wait().unwrap().code(), Some(0));
    assert_eq!(answer.text(), "hello");
}

#[test]
fn the_units_satisfy_systemd() {
    if !tools::has("systemd-analyze") {
        return;
    }
    let check = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/check.sh");
    let good = tools::run("sh", &[check], b"");
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert_eq!(String::from_utf8_lossy(&good.stdout).matches("exposure").count(), 2);
    assert!(!tools::run("sh", &[check, "0.1"], b"").status.success(), "a limit that nothing satisfies");
}
