use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::conversation::refuse;
use super::wire::VERSION;
use super::*;
use crate::server::runtime_dir::tests::Scratch;
use crate::server::sockets::{Listener, Sockets};

const DEADLINE: Duration = Duration::from_secs(20);

fn sockets(count: usize) -> Sockets {
    Sockets::from_listeners((0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())).unwrap()
}

fn offer(sockets: &Sockets) -> impl Future<Output = Result<Offer, String>> + use<> {
    std::future::ready(Ok(Offer { sockets: sockets.duplicates().unwrap(), hold: None }))
}

fn listener(sockets: &Sockets) -> TcpListener {
    match sockets.listener(sockets.addresses().next().unwrap()).unwrap() {
        Listener::Tcp(listener) => listener,
        Listener::Unix(_) => unreachable!(),
    }
}

/// Waits for a successor in a task, with a bound on the whole test.
fn wait(
    mut predecessor: Predecessor,
    sockets: Sockets,
    within: Duration,
) -> JoinHandle<(HandedOver, Predecessor)> {
    tokio::spawn(async move {
        let handing_over = predecessor.hand_over(|_| offer(&sockets), within);
        let handed_over = timeout(DEADLINE, handing_over).await.unwrap();
        (handed_over, predecessor)
    })
}

/// A conversation by hand, up to and with the offer.
async fn asked(directory: &RuntimeDirectory, version: u32) -> (UnixStream, Result<Message, HandoverError>) {
    let mut stream = UnixStream::connect(directory.upgrade_socket()).await.unwrap();
    wire::send(&mut stream, &Message::Hello { version, pid: 1 }).await.unwrap();
    let answer = wire::receive(&mut stream).await;
    (stream, answer)
}

/// Answers every connection with one byte. Ends only by being aborted, and then loses none that it accepted.
fn serve(listener: TcpListener, name: u8) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move { stream.write_all(&[name]).await });
        }
    })
}

/// Connects again and again, and says who answered. A refused or broken connection ends it with an error.
fn clients(address: SocketAddr) -> (mpsc::Receiver<io::Result<u8>>, Vec<JoinHandle<()>>) {
    let (answers, heard) = mpsc::channel(16);
    let client = |answers: mpsc::Sender<_>| async move {
        loop {
            let once = async { TcpStream::connect(address).await?.read_u8().await };
            if answers.send(once.await).await.is_err() {
                return;
            }
        }
    };
    (heard, (0..4).map(|_| tokio::spawn(client(answers.clone()))).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_refused_while_a_successor_takes_over() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let old = sockets(1);
    let address = old.addresses().next().unwrap().to_string().parse().unwrap();
    let old_worker = serve(listener(&old), b'p');
    let (mut heard, _clients) = clients(address);
    let mut hear = async |name: u8, enough: usize| {
        let mut count = 0;
        while count < enough {
            let answer = timeout(DEADLINE, heard.recv()).await.unwrap().unwrap().unwrap();
            count += usize::from(answer == name);
        }
    };
    hear(b'p', 200).await;

    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, old, READY_WITHIN);
    let inherited = Successor::connect(&directory, DEADLINE).await.unwrap();
    let new = Sockets::adopt(inherited.sockets).unwrap();
    let _new_worker = serve(listener(&new), b's');
    hear(b's', 100).await;

    let ready = tokio::spawn(inherited.successor.ready());
    let (mut handed_over, _predecessor) = handing_over.await.unwrap();
    old_worker.abort();
    assert!(old_worker.await.unwrap_err().is_cancelled());
    handed_over.acknowledge().await.unwrap();
    assert!(ready.await.unwrap().is_ok());
    hear(b's', 1000).await;
}

#[tokio::test]
async fn a_successor_has_the_socket_and_the_pid_file_and_can_be_succeeded() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let mut current = Predecessor::listen(&directory).unwrap();
    for _ in 0..3 {
        let handing_over = wait(current, sockets(1), READY_WITHIN);
        let inherited = Successor::connect(&directory, DEADLINE).await.unwrap();
        assert_eq!(inherited.successor.predecessor().pid, std::process::id());
        let ready = tokio::spawn(inherited.successor.ready());
        let (mut handed_over, former) = handing_over.await.unwrap();
        assert_eq!(handed_over.successor().pid, std::process::id());
        handed_over.acknowledge().await.unwrap();
        let next = ready.await.unwrap().unwrap();
        former.claim.withdraw();
        assert!(directory.upgrade_socket().exists(), "the predecessor removed its successor's socket");
        current = next;
    }
    assert_eq!(std::fs::read_to_string(directory.pid_file()).unwrap(), format!("{}\n", std::process::id()));
    current.close();
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn any_number_of_sockets_arrive_in_order() {
    for count in [0, 1, 32, 33, 70] {
        let scratch = Scratch::new();
        let directory = scratch.runtime();
        let mut predecessor = Predecessor::listen(&directory).unwrap();
        let old = sockets(count);
        let inherited = tokio::select! {
            inherited = Successor::connect(&directory, DEADLINE) => inherited.unwrap(),
            _ = predecessor.hand_over(|_| offer(&old), READY_WITHIN) => panic!("nobody was ready"),
        };
        assert_eq!(inherited.sockets.len(), count);
        let new = Sockets::adopt(inherited.sockets).unwrap();
        assert!(new.addresses().eq(old.addresses()));
    }
}

#[tokio::test]
async fn goes_on_when_a_successor_dies_before_it_is_ready() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(40), READY_WITHIN);
    // Before the hello, amid the descriptors, with all of them, and with a word.
    drop(UnixStream::connect(directory.upgrade_socket()).await.unwrap());
    drop(asked(&directory, VERSION).await);
    drop(Successor::connect(&directory, DEADLINE).await.unwrap());
    let inherited = Successor::connect(&directory, DEADLINE).await;
    inherited.unwrap().successor.give_up("bad policy").await;
    assert!(!handing_over.is_finished());

    let inherited = Successor::connect(&directory, DEADLINE).await.unwrap();
    let ready = tokio::spawn(inherited.successor.ready());
    let (mut handed_over, _predecessor) = handing_over.await.unwrap();
    handed_over.acknowledge().await.unwrap();
    assert!(ready.await.unwrap().is_ok());
}

#[tokio::test]
async fn goes_on_when_a_successor_is_silent_and_tells_it_so() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(1), Duration::from_millis(50));
    let (mut stream, answer) = asked(&directory, VERSION).await;
    assert!(matches!(answer, Ok(Message::Offer { .. })));
    drop(wire::receive_descriptors(&stream, 1).await.unwrap());
    match wire::receive(&mut stream).await.unwrap() {
        Message::Refused { reason } => assert_eq!(reason, "not ready within 50ms"),
        other => panic!("{other:?}"),
    }
    drop(wire::send(&mut stream, &Message::Ready {}).await);
    assert!(!handing_over.is_finished(), "a late `ready` counts for nothing");
    handing_over.abort();
}

#[tokio::test]
async fn the_wait_may_be_dropped_and_taken_up_again_at_any_point() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let mut predecessor = Predecessor::listen(&directory).unwrap();
    let old = sockets(3);
    let taking_over = tokio::spawn(async move {
        let inherited = Successor::connect(&directory, DEADLINE).await?;
        assert_eq!(inherited.sockets.len(), 3);
        inherited.successor.ready().await
    });
    let handed_over = timeout(DEADLINE, async {
        loop {
            tokio::select! {
                biased;
                handed_over = predecessor.hand_over(|_| offer(&old), READY_WITHIN) => return handed_over,
                () = tokio::task::yield_now() => {}
            }
        }
    });
    handed_over.await.unwrap().acknowledge().await.unwrap();
    assert!(taking_over.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_successor_that_is_too_late_ends_and_leaves_everything_as_it_was() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let listener = UnixListener::bind(directory.upgrade_socket()).unwrap();
    let impatient = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(wire::receive(&mut stream).await.unwrap());
        wire::send_offer(&mut stream, &[]).await.unwrap();
        refuse(&mut stream, HandoverError::Silent(Duration::from_secs(1))).await;
    };
    let (inherited, ()) = tokio::join!(Successor::connect(&directory, DEADLINE), impatient);
    let error = inherited.unwrap().successor.ready().await.unwrap_err();
    assert_eq!(error.to_string(), "the running edgeward refused to hand over: not ready within 1s");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "upgrade.sock alone");
    assert!(UnixStream::connect(directory.upgrade_socket()).await.is_ok());
}

#[tokio::test]
async fn refuses_a_second_successor_while_the_first_is_on_its_way() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(1), READY_WITHIN);
    let first = Successor::connect(&directory, DEADLINE).await.unwrap();
    let second = Successor::connect(&directory, DEADLINE).await.unwrap_err();
    let reason = format!("process {} is taking over already", std::process::id());
    assert!(matches!(&second, HandoverError::Refused(said) if *said == reason), "{second}");

    let ready = tokio::spawn(first.successor.ready());
    let (mut handed_over, _predecessor) = handing_over.await.unwrap();
    handed_over.acknowledge().await.unwrap();
    assert!(ready.await.unwrap().is_ok());
}

#[tokio::test]
async fn tells_a_successor_why_it_is_refused() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let mut predecessor = Predecessor::listen(&directory).unwrap();
    let waiting = tokio::spawn(async move {
        drop(
            predecessor.hand_over(|peer| async move { Err(format!("not {}", peer.pid)) }, READY_WITHIN).await,
        );
    });
    let error = Successor::connect(&directory, DEADLINE).await.unwrap_err();
    let expected = format!("the running edgeward refused to hand over: not {}", std::process::id());
    assert_eq!(error.to_string(), expected);

    let (_, answer) = asked(&directory, VERSION + 1).await;
    match answer.unwrap() {
        Message::Refused { reason } => {
            assert_eq!(reason, "it speaks version 1 of the hand-over, the successor version 2");
        }
        other => panic!("{other:?}"),
    }
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn goes_on_after_what_is_no_hello() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(1), READY_WITHIN);
    for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02{]", b"\0\0\0\x0c{\"ready\":{}}"] {
        let mut stream = UnixStream::connect(directory.upgrade_socket()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        assert!(matches!(wire::receive(&mut stream).await, Ok(Message::Refused { .. })));
    }
    assert!(!handing_over.is_finished());
    assert!(Successor::connect(&directory, DEADLINE).await.is_ok());
    handing_over.abort();
}

#[tokio::test]
async fn a_ready_successor_serves_though_its_predecessor_dies() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(1), READY_WITHIN);
    let inherited = Successor::connect(&directory, DEADLINE).await.unwrap();
    let ready = tokio::spawn(inherited.successor.ready());
    let (handed_over, predecessor) = handing_over.await.unwrap();
    drop(predecessor);
    drop(handed_over);
    assert!(ready.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_successor_ends_if_its_predecessor_goes_on() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(1), READY_WITHIN);
    let inherited = Successor::connect(&directory, DEADLINE).await.unwrap();
    let ready = tokio::spawn(inherited.successor.ready());
    let (handed_over, _predecessor) = handing_over.await.unwrap();
    drop(handed_over);
    assert!(matches!(ready.await.unwrap(), Err(HandoverError::Gone)));
}

#[tokio::test]
async fn a_predecessor_hears_that_a_ready_successor_is_gone() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let predecessor = Predecessor::listen(&directory).unwrap();
    let handing_over = wait(predecessor, sockets(0), READY_WITHIN);
    let (mut stream, _) = asked(&directory, VERSION).await;
    wire::send(&mut stream, &Message::Ready {}).await.unwrap();
    drop(stream);
    let (mut handed_over, _predecessor) = handing_over.await.unwrap();
    assert!(matches!(handed_over.acknowledge().await, Err(HandoverError::Gone)));
}

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_told_and_replaced() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let path = directory.upgrade_socket();
    let nobody = format!("no running edgeward at {}; start it without `--upgrade`", path.display());
    assert_eq!(Successor::connect(&directory, DEADLINE).await.unwrap_err().to_string(), nobody);
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(Successor::connect(&directory, DEADLINE).await.unwrap_err().to_string(), nobody);

    let first = Predecessor::listen(&directory).unwrap();
    let error = Predecessor::listen(&directory).unwrap_err();
    let expected = format!("another edgeward (pid {}) runs with {}", std::process::id(), path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    first.close();
    assert!(Predecessor::listen(&directory).is_ok());
}

#[tokio::test]
async fn two_processes_that_start_at_once_do_not_both_run() {
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let lock = directory.lock().unwrap();
    assert!(matches!(Predecessor::listen(&directory), Err(HandoverError::Starting(_))));
    drop(lock);
    assert!(Predecessor::listen(&directory).is_ok());
}

#[tokio::test]
async fn does_not_hand_over_more_than_the_protocol_carries() {
    let (mut one, mut two) = UnixStream::pair().unwrap();
    let open = sockets(1).duplicates().unwrap().remove(0);
    let many: Vec<_> =
        (0..=wire::SOCKETS_MAX).map(|_| (open.0.clone(), open.1.try_clone().unwrap())).collect();
    assert!(matches!(wire::send_offer(&mut one, &many).await, Err(HandoverError::TooMuch(_))));
    assert!(wire::send_offer(&mut one, &many[..1]).await.is_ok());
    drop(wire::receive(&mut two).await.unwrap());
    assert_eq!(wire::receive_descriptors(&two, 1).await.unwrap().len(), 1);
    assert!(wire::receive_descriptors(&two, usize::MAX).await.is_err());
}

#[tokio::test]
async fn the_upgrade_socket_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    let directory = scratch.runtime();
    let _predecessor = Predecessor::listen(&directory).unwrap();
    let mode = std::fs::metadata(directory.upgrade_socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn only_the_own_user_and_root_take_part() {
    assert!(may_take_part(7, 7));
    assert!(may_take_part(7, 0));
    assert!(!may_take_part(7, 8));
    assert!(!may_take_part(0, 8));
}
