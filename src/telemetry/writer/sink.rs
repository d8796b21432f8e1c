//! What a log writer writes to: a file that can be opened anew after rotation, or a standard stream.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Takes bytes in order. Used by one thread, which may block in it.
pub(super) trait Sink: Send {
    /// Takes some of the bytes, as [`Write::write`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Opens its place anew. On an error the old one stays in use. Returns whether a different file is there now.
    fn reopen(&mut self) -> io::Result<bool>;
}

/// A file that is only appended to.
pub(super) struct FileSink {
    path: PathBuf,
    file: File,
}

impl FileSink {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open_for_appending(path)? })
    }
}

impl Sink for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn reopen(&mut self) -> io::Result<bool> {
        let file = open_for_appending(&self.path)?;
        let (new, old) = (file.metadata()?, self.file.metadata()?);
        self.file = file;
        Ok((new.dev(), new.ino()) != (old.dev(), old.ino()))
    }
}

/// A standard stream, on a descriptor of its own: the standard library's would buffer once more.
pub(super) struct StreamSink(File);

impl StreamSink {
    pub(super) fn stdout() -> io::Result<Self> {
        Ok(Self(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    pub(super) fn stderr() -> io::Result<Self> {
        Ok(Self(io::stderr().as_fd().try_clone_to_owned()?.into()))
    }
}

impl Sink for StreamSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn reopen(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

fn open_for_appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}
