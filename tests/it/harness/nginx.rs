//! nginx as a backend.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use socket2::{Domain, Socket, Type};

use super::folder::Folder;
use super::poll::eventually;
use super::tools;

/// A running nginx with one server; ends when dropped.
pub struct Nginx {
    address: SocketAddr,
    child: Child,
    _folder: Folder,
    /// Holds the port, so that nobody else gets it while nginx starts.
    _held: Socket,
}

impl Nginx {
    /// Starts one whose server has these directives, e.g. `location / { return 200 "hello"; }`. `None` where nginx is
    /// not installed.
    pub fn start(server: &str) -> Option<Self> {
        if !tools::has("nginx") {
            return None;
        }
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        held.set_reuse_port(true).unwrap();
        held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = held.local_addr().unwrap().as_socket().unwrap();
        let folder = Folder::new();
        let dir = folder.path().display();
        folder.write(
            "nginx.conf",
            format!(
                "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
                 fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
                 server {{ listen {address} reuseport; {server} }} }}\n"
            ),
        );
        let config = folder.path().join("nginx.conf");
        let child = Command::new("nginx")
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .arg("-c")
            .arg(config)
            .args(["-e", "stderr"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("nginx", || TcpStream::connect(address).ok());
        Some(Self { address, child, _folder: folder, _held: held })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, with whatever it is doing.
    pub fn kill(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}
