use super::*;
use crate::server::runtime_dir::tests::Scratch;

struct Manager {
    socket: UnixDatagram,
    _scratch: Scratch,
}

impl Manager {
    fn new(watchdog: Option<Duration>) -> (Self, Notify) {
        let scratch = Scratch::new();
        let path = scratch.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let notify = Notify::to(path.as_os_str(), watchdog).unwrap();
        (Self { socket, _scratch: scratch }, notify)
    }

    fn heard(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).unwrap_or(0);
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

#[test]
fn tells_the_manager_each_step() {
    let (manager, notify) = Manager::new(None);
    notify.ready("serving");
    assert_eq!(manager.heard(), "READY=1\nSTATUS=serving");
    notify.stopping("draining", Duration::from_secs(60));
    assert_eq!(manager.heard(), "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=70000000");
    notify.main_pid(7);
    assert_eq!(manager.heard(), "MAINPID=7");
    notify.reloading();
    let heard = manager.heard();
    let usec = heard.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(usec.parse::<u64>().unwrap() > 0);
}

#[test]
fn a_status_cannot_add_a_field() {
    let (manager, notify) = Manager::new(None);
    notify.ready("bad policy\nMAINPID=1");
    assert_eq!(manager.heard(), "READY=1\nSTATUS=bad policy MAINPID=1");
}

#[test]
fn feeds_the_watchdog_only_where_there_is_one() {
    let (manager, notify) = Manager::new(Some(Duration::from_secs(5)));
    notify.alive();
    assert_eq!(manager.heard(), "WATCHDOG=1");
    let (manager, notify) = Manager::new(None);
    notify.alive();
    assert_eq!(manager.heard(), "");
}

#[test]
fn finds_an_abstract_socket() {
    let name = format!("edgeward-notify-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    Notify::to(format!("@{name}").as_ref(), None).unwrap().ready("here");
    let mut buffer = [0; 64];
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\nSTATUS=here");
}

#[test]
fn the_watchdog_is_fed_twice_as_often_as_asked_and_by_the_named_process_alone() {
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(watchdog(text("3000000"), text("7"), 7), Some(Duration::from_millis(1500)));
    assert_eq!(watchdog(text("3000000"), None, 7), Some(Duration::from_millis(1500)));
    assert_eq!(watchdog(text("3000000"), text("8"), 7), None);
    assert_eq!(watchdog(text("3000000"), text("x"), 7), None);
    assert_eq!(watchdog(text("0"), None, 7), None);
    assert_eq!(watchdog(None, text("7"), 7), None);
}

#[test]
fn accepts_a_main_process_of_the_same_control_group_alone() {
    assert!(same_group(Some("0::/edgeward.service\n"), Some("0::/edgeward.service\n")));
    assert!(!same_group(Some("0::/edgeward.service\n"), Some("0::/user.slice\n")));
    assert!(!same_group(None, None), "what cannot be read is not the same");

    let (_manager, supervised) = Manager::new(None);
    assert!(supervised.accepts(std::process::id()));
    assert!(!supervised.accepts(u32::MAX));
    assert!(Notify::default().accepts(u32::MAX));
}
