//! The thread that writes, and what it is told.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use super::body;
use super::index::Place;
use super::log::{BATCH, Log, Response};
use super::volume::Lock;
use crate::cache::key::Key;

/// What the thread is told. Nobody waits for it who answers a request.
pub enum Command {
    Write(Box<Response>),
    Remove {
        key: Key,
        variant: u32,
        old: Vec<Place>,
    },
    /// Removes what was at these places, which are out of the index already.
    Bury {
        key: Key,
        old: Vec<Place>,
    },
    /// Begins a body's file.
    Begin(SyncSender<Option<body::Writer>>),
    /// Takes so many bytes for a body that comes, if there is room.
    Reserve(u64, SyncSender<bool>),
    /// Answers when all before is written.
    Flush(SyncSender<()>),
    /// Compares the oldest with what was purged.
    Renew,
    /// Removes everything that is stored.
    Clear(SyncSender<()>),
    /// Completes what is there, and ends the thread.
    Close,
}

/// Bytes that a response takes while it waits to be written.
#[must_use]
pub fn weight(response: &Response) -> u64 {
    use super::log::Written;
    let body = match &response.body {
        Written::Here(content) => content.len(),
        Written::Outside(..) | Written::Kept(..) => 0,
    };
    body + response.metadata.len() as u64
}

/// Does what it is told until it is told to close, or nobody can tell it anything any more.
pub fn run(mut log: Log, commands: &Receiver<Command>, lock: Lock) {
    'open: while let Ok(command) = commands.recv() {
        let mut next = Some(command);
        while let Some(command) = next {
            if !obey(&mut log, command) {
                break 'open;
            }
            next = if log.pending() < BATCH { commands.try_recv().ok() } else { None };
        }
        log.flush();
    }
    log.seal();
    drop(lock);
}

fn obey(log: &mut Log, command: Command) -> bool {
    match command {
        Command::Write(response) => {
            log.shared.queued.fetch_sub(weight(&response), Ordering::Relaxed);
            log.write(*response);
        }
        Command::Remove { key, variant, old } => log.remove(&key, variant, old),
        Command::Bury { key, old } => log.remove_places(&key, old),
        Command::Begin(reply) => {
            let writer = log.begin_body();
            // Who asked may have gone.
            if let Err(refused) = reply.send(writer)
                && let Some(writer) = refused.0
            {
                log.shared.remove_file(&body::name(writer.number()));
            }
        }
        Command::Reserve(bytes, reply) => {
            let has_room = log.make_room(bytes);
            if has_room {
                log.shared.used.fetch_add(bytes, Ordering::Relaxed);
            }
            if reply.send(has_room).is_err() && has_room {
                log.shared.give_back(bytes);
            }
        }
        Command::Flush(reply) => {
            log.flush();
            drop(reply);
        }
        Command::Renew => log.renew(),
        Command::Clear(reply) => {
            log.clear();
            drop(reply);
        }
        Command::Close => return false,
    }
    true
}
