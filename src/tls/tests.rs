//! Real handshakes in process, between an [`Acceptor`] and clients of BoringSSL and OpenSSL.

mod choice;
mod clients;
mod renewal;
mod resumption;
mod upstream;

use std::path::Path;

use super::fixtures::{Authority, Folder, Leaf};
use super::spec::{CertificateSpec, ServerSpec};
use super::{Acceptor, system_clock};

/// A spec as an operator writes it.
fn spec(yaml: &str) -> ServerSpec {
    serde_yaml::from_str(yaml).unwrap()
}

/// A listener with one certificate for `api.example.com`, and `yaml` besides.
fn listener(folder: &Folder, yaml: &str) -> ServerSpec {
    folder.store("api", &Authority::root("Server CA").issue(&Leaf::named(&["api.example.com"])));
    ServerSpec { certificates: vec![pair("api")], ..spec(yaml) }
}

fn pair(name: &str) -> CertificateSpec {
    CertificateSpec {
        cert: format!("{name}.crt").into(),
        key: format!("{name}.key").into(),
        ocsp: None,
        names: Vec::new(),
        default: false,
    }
}

fn load(spec: &ServerSpec, base: &Path) -> Acceptor {
    Acceptor::load_at(spec, base, system_clock).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(spec: &ServerSpec, base: &Path) -> Vec<String> {
    match Acceptor::load(spec, base) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}
