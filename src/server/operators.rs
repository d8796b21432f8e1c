//! The listeners that are not for clients: the admin listener and the echo backend. They are served by the control
//! runtime, so that a scrape never waits behind traffic.

use std::sync::Arc;

use pingora_core::apps::ServerApp;
use pingora_core::apps::http_app::HttpServer;

use super::Shared;
use super::accept::next;
use super::admin::Admin;
use super::echo::Echo;
use super::sockets::Listener;
use crate::net::ListenAddress;
use crate::proxy::{Socket, Wire};

impl Shared {
    /// Serves the operators' listeners of the policy in force, and no others. To be called in the control runtime.
    pub(super) fn follow_operators(self: &Arc<Self>) {
        let snapshot = self.snapshot.load();
        let admin = snapshot.admin.as_ref().map(|admin| &admin.address);
        let echo = snapshot.process.echo.as_ref();
        let mut operators = self.held(&self.operators);
        operators.retain(|address, task| {
            let stays = admin == Some(address) || echo == Some(address);
            if !stays {
                task.abort();
            }
            stays
        });
        for address in admin.into_iter().chain(echo) {
            if operators.contains_key(address) {
                continue;
            }
            match self.listener(address) {
                Ok(listener) if Some(address) == admin => {
                    let app = Arc::new(HttpServer::new_app(Admin(self.clone())));
                    operators.insert(address.clone(), tokio::spawn(serve(listener, app, self.clone())));
                }
                Ok(listener) => {
                    let app = Arc::new(HttpServer::new_app(Echo));
                    operators.insert(address.clone(), tokio::spawn(serve(listener, app, self.clone())));
                }
                Err(error) => {
                    log::error!(address:% = ListenAddress::to_string(address), error:%; "cannot accept");
                }
            }
        }
    }

    /// Stops accepting operators; their sockets are closed when this returns.
    pub(super) async fn stop_operators(&self) {
        let operators = std::mem::take(&mut *self.held(&self.operators));
        for (_, task) in operators {
            task.abort();
            // It was aborted between two connections.
            drop(task.await);
        }
    }
}

/// Accepts until it is aborted.
async fn serve<A: ServerApp + Send + Sync + 'static>(listener: Listener, app: Arc<A>, shared: Arc<Shared>) {
    loop {
        match next(&listener).await {
            Ok((socket, _)) => {
                if let Socket::Tcp(tcp) = &socket {
                    // Head and body are written one after the other: without this the second waits for an
                    // acknowledgement, 40 ms. A connection that cannot be tuned is served all the same.
                    drop(tcp.set_nodelay(true));
                }
                let (app, draining) = (app.clone(), shared.draining());
                tokio::spawn(async move {
                    app.process_new(Box::new(Wire::new(socket, Vec::new())), &draining).await;
                });
            }
            Err(error) => {
                log::error!(error:%; "cannot accept");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
