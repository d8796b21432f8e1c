//! Who listens on a TCP port already, as far as `/proc` tells this user. For error messages alone.

use std::fs;
use std::path::Path;

/// The state `TCP_LISTEN` in `/proc/net/tcp`, see `proc_net_tcp.txt` of the kernel.
const LISTENING: &str = "0A";

/// E.g. `nginx (pid 312)`, or `a process of uid 33` where its descriptors cannot be read; `None` where nothing is
/// found, as in another network namespace.
pub(super) fn of_port(port: u16) -> Option<String> {
    let proc = Path::new("/proc");
    let (inode, uid) = ["self/net/tcp", "self/net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(proc.join(table)).ok()?;
        table.lines().find_map(|line| listening(line, port))
    })?;
    let named = process_with(proc, &format!("socket:[{inode}]"));
    Some(named.unwrap_or_else(|| format!("a process of uid {uid}")))
}

/// The inode and the owner of a line that describes a socket listening on the port.
fn listening(line: &str, port: u16) -> Option<(u64, u32)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, hex) = fields.get(1)?.rsplit_once(':')?;
    if *fields.get(3)? != LISTENING || u16::from_str_radix(hex, 16) != Ok(port) {
        return None;
    }
    Some((fields.get(9)?.parse().ok()?, fields.get(7)?.parse().ok()?))
}

fn process_with(proc: &Path, socket: &str) -> Option<String> {
    for process in fs::read_dir(proc).ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds =
            |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == socket);
        if descriptors.flatten().any(holds) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 \
                        4711 1 0000000000000000 100 0 0 10 0";

    #[test]
    fn reads_the_kernels_table() {
        assert_eq!(listening(LINE, 8080), Some((4711, 33)));
        assert_eq!(listening(LINE, 8081), None);
        assert_eq!(listening(&LINE.replace(" 0A ", " 01 "), 8080), None, "connected, not listening");
        assert_eq!(listening("  sl  local_address rem_address   st", 8080), None);
    }

    #[test]
    fn names_the_process_that_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = of_port(port).unwrap();
        assert!(holder.ends_with(&format!("(pid {})", std::process::id())), "{holder}");
        drop(listener);
        assert_eq!(of_port(port), None);
    }
}
