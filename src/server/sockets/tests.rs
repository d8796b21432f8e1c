use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::server::runtime_dir::tests::Scratch;

/// Holds a free port of a loopback address that no other test uses, and gives its address.
fn taken() -> (TcpListener, ListenAddress) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let ip = [127, NEXT.fetch_add(1, Ordering::Relaxed), high, low];
    let listener = TcpListener::bind(SocketAddr::from((ip, 0))).unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

/// An address that was free a moment ago.
fn free() -> ListenAddress {
    taken().1
}

fn unix(scratch: &Scratch, name: &str) -> ListenAddress {
    ListenAddress::Unix(scratch.join(name))
}

fn connects(address: &ListenAddress) -> bool {
    match address {
        ListenAddress::Ip(ip) => TcpStream::connect(ip).is_ok(),
        ListenAddress::Unix(path) => UnixStream::connect(path).is_ok(),
    }
}

fn reason(sockets: &mut Sockets, address: &ListenAddress) -> String {
    let errors = sockets.reconcile(std::slice::from_ref(address)).unwrap_err();
    assert_eq!(errors.len(), 1);
    errors[0].to_string()
}

#[test]
fn opens_keeps_and_closes_what_a_policy_wants() {
    let scratch = Scratch::new();
    let (one, two, three) = (free(), free(), unix(&scratch, "a.sock"));
    let mut sockets = Sockets::default();
    let changes = sockets.reconcile(&[one.clone(), three.clone(), one.clone()]).unwrap();
    assert_eq!(changes, Changes { opened: vec![one.clone(), three.clone()], ..Changes::default() });
    assert!(connects(&one) && connects(&three) && !connects(&two));

    let changes = sockets.reconcile(&[two.clone(), three.clone()]).unwrap();
    assert_eq!(
        changes,
        Changes { opened: vec![two.clone()], closed: vec![one.clone()], kept: vec![three.clone()] }
    );
    assert!(!connects(&one) && connects(&two) && connects(&three));
    assert_eq!(sockets.addresses().collect::<Vec<_>>(), [&two, &three]);
}

#[test]
fn changes_nothing_if_one_address_cannot_be_bound() {
    let scratch = Scratch::new();
    let (holder, held) = taken();
    let (old, new, file) = (free(), free(), unix(&scratch, "new.sock"));
    let mut sockets = Sockets::default();
    sockets.reconcile(std::slice::from_ref(&old)).unwrap();

    let far: ListenAddress = "192.0.2.1:80".parse().unwrap();
    let errors = sockets.reconcile(&[new.clone(), held.clone(), far.clone(), file.clone()]).unwrap_err();
    assert_eq!(errors.iter().map(|error| &error.address).collect::<Vec<_>>(), [&held, &far]);
    assert!(connects(&old) && !connects(&new));
    assert!(!scratch.join("new.sock").exists());
    assert_eq!(sockets.addresses().collect::<Vec<_>>(), [&old]);

    drop(holder);
    assert!(sockets.reconcile(&[new, held, file]).is_ok());
}

#[test]
fn says_in_plain_words_why_an_address_cannot_be_had() {
    let scratch = Scratch::new();
    let mut sockets = Sockets::default();
    let (_holder, held) = taken();
    let message = reason(&mut sockets, &held);
    assert!(message.starts_with(&format!("cannot listen on {held}: address in use by ")), "{message}");
    assert!(message.ends_with(&format!("(pid {})", std::process::id())), "{message}");
    assert!(
        reason(&mut sockets, &"192.0.2.1:80".parse().unwrap())
            .ends_with("no interface of this machine has this address")
    );

    std::fs::write(scratch.join("file"), "").unwrap();
    assert!(reason(&mut sockets, &unix(&scratch, "file")).ends_with("the path exists and is not a socket"));
    assert!(scratch.join("file").exists());
    assert!(reason(&mut sockets, &unix(&scratch, "no/a")).ends_with("the directory does not exist"));
    assert!(reason(&mut sockets, &unix(&scratch, "file/a")).ends_with("the directory does not exist"));
}

#[test]
fn says_that_an_own_socket_stands_in_the_way() {
    let ListenAddress::Ip(narrow) = free() else { unreachable!() };
    let wide: ListenAddress = format!("0.0.0.0:{}", narrow.port()).parse().unwrap();
    let mut sockets = Sockets::default();
    sockets.reconcile(&[narrow.into()]).unwrap();
    assert!(reason(&mut sockets, &wide).contains(&format!("overlaps {narrow}, which is open until")));
    assert!(connects(&narrow.into()));
}

#[test]
fn ipv6_and_ipv4_are_bound_apart() {
    let ListenAddress::Ip(four) = free() else { unreachable!() };
    let port = four.port();
    let both: Vec<ListenAddress> = [format!("0.0.0.0:{port}"), format!("[::]:{port}")]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let mut sockets = Sockets::default();
    assert_eq!(sockets.reconcile(&both).unwrap().opened.len(), 2);
    sockets.reconcile(&both[1..]).unwrap();
    assert!(TcpStream::connect(("::1", port)).is_ok());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn sockets_are_non_blocking_and_closed_on_exec() {
    let scratch = Scratch::new();
    let mut sockets = Sockets::default();
    sockets.reconcile(&[free(), unix(&scratch, "a.sock")]).unwrap();
    for socket in sockets.open.values() {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", socket.as_raw_fd()));
        let info = info.unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let flags = u32::from_str_radix(flags, 8).unwrap();
        assert_eq!(flags & 0o2_004_000, 0o2_004_000, "O_CLOEXEC and O_NONBLOCK of {flags:o}");
    }
}

#[test]
fn a_unix_socket_is_for_owner_and_group_and_taken_over_from_the_dead_alone() {
    let scratch = Scratch::new();
    let (path, address) = (scratch.join("a.sock"), unix(&scratch, "a.sock"));
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut sockets = Sockets::default();
    sockets.reconcile(std::slice::from_ref(&address)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);

    let mut second = Sockets::default();
    assert!(reason(&mut second, &address).ends_with("address in use"));
    assert!(connects(&address));
}

#[test]
fn the_file_of_a_closed_unix_socket_goes_when_nobody_answers_on_it() {
    let scratch = Scratch::new();
    let (path, address) = (scratch.join("a.sock"), unix(&scratch, "a.sock"));
    let mut sockets = Sockets::default();
    sockets.reconcile(std::slice::from_ref(&address)).unwrap();
    let worker = sockets.duplicates().unwrap();
    sockets.reconcile(&[]).unwrap();
    assert!(connects(&address), "a worker still has it");
    sockets.sweep();
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());

    let mut again = Sockets::adopt(worker).unwrap();
    again.reconcile(&[]).unwrap();
    again.sweep();
    assert!(!path.exists());
}

#[test]
fn closing_leaves_the_file_of_a_socket_that_a_successor_has() {
    let scratch = Scratch::new();
    let address = unix(&scratch, "a.sock");
    let mut sockets = Sockets::default();
    sockets.reconcile(std::slice::from_ref(&address)).unwrap();
    let successor = Sockets::adopt(sockets.duplicates().unwrap()).unwrap();
    sockets.close();
    assert!(connects(&address));
    successor.close();
    assert!(!scratch.join("a.sock").exists());
}

#[test]
fn adopts_a_socket_only_under_its_own_address_and_only_if_it_listens() {
    let (listener, address) = taken();
    let other = free();
    let pair = |socket: &TcpListener, address: &ListenAddress| {
        Sockets::adopt([(address.clone(), socket.try_clone().unwrap().into())])
    };
    assert!(pair(&listener, &address).is_ok());
    assert!(matches!(pair(&listener, &other), Err(AdoptError::Mismatch { .. })));

    let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(matches!(Sockets::adopt([(address.clone(), datagram.into())]), Err(AdoptError::NotListening)));
    let ListenAddress::Ip(ip) = address else { unreachable!() };
    let client = TcpStream::connect(ip).unwrap();
    assert!(matches!(Sockets::adopt([(ip.into(), client.into())]), Err(AdoptError::NotListening)));
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    assert!(matches!(Sockets::adopt([(ip.into(), file.into())]), Err(AdoptError::NotListening)));
}

#[test]
fn does_not_adopt_a_socket_for_both_families() {
    let six = |only: bool| {
        let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
        socket.set_only_v6(only).unwrap();
        socket.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(1).unwrap();
        OwnedFd::from(socket)
    };
    assert!(adopt::address_of(&six(true)).is_ok());
    assert!(matches!(adopt::address_of(&six(false)), Err(AdoptError::DualStack(_))));
}

#[tokio::test]
async fn workers_accept_from_one_queue() {
    let (listener, address) = taken();
    let sockets = Sockets::from_listeners([listener]).unwrap();
    let (Listener::Tcp(one), Listener::Tcp(two)) =
        (sockets.listener(&address).unwrap(), sockets.listener(&address).unwrap())
    else {
        panic!("not TCP");
    };
    let ListenAddress::Ip(ip) = address else { unreachable!() };
    for worker in [one, two] {
        let mut client = TcpStream::connect(ip).unwrap();
        drop(worker.accept().await.unwrap());
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }
    assert_eq!(sockets.listener(&free()).unwrap_err().kind(), io::ErrorKind::NotFound);
}
