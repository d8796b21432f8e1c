//! The closed lists that label values come from.

/// A label with a fixed list of values.
pub trait Label: Copy + 'static {
    /// Every value, in the order of their indices.
    const ALL: &'static [Self];

    /// The value as Prometheus sees it.
    fn as_str(self) -> &'static str;

    /// The value's place in [`Self::ALL`].
    fn index(self) -> usize;
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// The methods of RFC 9110 and RFC 5789; clients may send any other token, and share one label for it.
    Method {
        /// `GET`
        Get = "GET",
        /// `HEAD`
        Head = "HEAD",
        /// `POST`
        Post = "POST",
        /// `PUT`
        Put = "PUT",
        /// `DELETE`
        Delete = "DELETE",
        /// `CONNECT`
        Connect = "CONNECT",
        /// `OPTIONS`
        Options = "OPTIONS",
        /// `TRACE`
        Trace = "TRACE",
        /// `PATCH`
        Patch = "PATCH",
        /// Anything else.
        Other = "other",
    }
}

impl Method {
    /// The label of a method token; tokens are case-sensitive.
    #[must_use]
    pub fn of(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

label! {
    /// The first digit of a status.
    StatusClass {
        /// 100–199
        Informational = "1xx",
        /// 200–299
        Success = "2xx",
        /// 300–399
        Redirection = "3xx",
        /// 400–499
        ClientError = "4xx",
        /// 500–599
        ServerError = "5xx",
        /// No status: the client left before one was sent.
        Unknown = "none",
    }
}

impl StatusClass {
    /// The class of a status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            100..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500..600 => Self::ServerError,
            _ => Self::Unknown,
        }
    }
}

label! {
    /// Why a connection from a client ended.
    CloseReason {
        /// The client closed it.
        Client = "client",
        /// It was idle for too long between requests.
        Idle = "idle",
        /// A head, body or handshake took too long, or moved too slowly.
        Timeout = "timeout",
        /// What came was not the protocol.
        Protocol = "protocol",
        /// A limit or a ban forbade it.
        Refused = "refused",
        /// It was reset or broke.
        Broken = "broken",
        /// This side was done with it: `Connection: close`, a lifetime reached.
        Done = "done",
        /// The process drains.
        Shutdown = "shutdown",
    }
}

label! {
    /// Why a TLS handshake failed.
    HandshakeFailure {
        /// The client was too slow.
        Timeout = "timeout",
        /// The client left.
        Closed = "closed",
        /// No version, cipher or group in common, or no TLS at all.
        Protocol = "protocol",
        /// The client broke off with an alert: often it does not trust the certificate.
        ClientAlert = "client_alert",
        /// The client's certificate is missing, has ended, is revoked or not trusted.
        ClientCertificate = "client_certificate",
        /// Anything else.
        Other = "other",
    }
}

label! {
    /// How an attempt at a backend ended.
    UpstreamOutcome {
        /// It answered with a status below 500.
        Success = "success",
        /// It answered with a status of 500 or more.
        ServerError = "server_error",
        /// No connection could be made, TLS included.
        ConnectFailure = "connect_failure",
        /// It took too long.
        Timeout = "timeout",
        /// The connection broke, or what came was not the protocol.
        Broken = "broken",
        /// The client left first, or the connection was just being closed.
        Abandoned = "abandoned",
    }
}

label! {
    /// What became of a wish to retry.
    RetryOutcome {
        /// The request was sent again.
        Tried = "tried",
        /// The retry budget was spent.
        BudgetExhausted = "budget_exhausted",
    }
}

label! {
    /// How an active health check ended.
    CheckOutcome {
        /// The backend answered as expected.
        Passed = "passed",
        /// It did not.
        Failed = "failed",
    }
}

label! {
    /// What became of fetching an issuer's keys.
    FetchOutcome {
        /// There are other keys than before.
        Replaced = "replaced",
        /// The issuer confirmed the keys in use.
        Unchanged = "unchanged",
        /// Too many requests of our own were under way.
        Busy = "busy",
        /// The name does not resolve.
        Resolve = "resolve",
        /// No connection.
        Connect = "connect",
        /// The certificate is not to be trusted.
        Certificate = "certificate",
        /// No TLS.
        Tls = "tls",
        /// No answer in time.
        Timeout = "timeout",
        /// The connection broke.
        Closed = "closed",
        /// The answer is too large.
        TooLarge = "too_large",
        /// The answer is no HTTP.
        Malformed = "malformed",
        /// The issuer's metadata are of no use.
        Discovery = "discovery",
        /// The answer's status is not 200.
        Status = "status",
        /// The file cannot be read.
        File = "file",
        /// The document holds no keys that can be used.
        Document = "document",
        /// Anything else.
        Other = "other",
    }
}

impl FetchOutcome {
    /// The label of a failure by its word.
    #[must_use]
    pub fn failed(kind: &str) -> Self {
        Self::ALL.iter().copied().find(|outcome| outcome.as_str() == kind).unwrap_or(Self::Other)
    }
}

label! {
    /// What the cache did with a request.
    CacheOutcome {
        /// Answered from what was stored, and fresh.
        Hit = "hit",
        /// Answered from what was stored, although it is stale.
        Stale = "stale",
        /// Answered from what was stored, after the origin said that it holds.
        Revalidated = "revalidated",
        /// Answered from what came for another client at that time.
        Collapsed = "collapsed",
        /// Answered by the origin; the cache would have answered, had it known what.
        Miss = "miss",
        /// Answered by the origin; the cache had no part in it.
        Bypass = "bypass",
    }
}

label! {
    /// Why something was done without the cache's disk.
    DiskBypass {
        /// It is full.
        Full = "full",
        /// It may not be written to.
        ReadOnly = "read_only",
        /// Writing failed for another reason.
        WriteFailed = "write_failed",
        /// Writing failed a short time ago, and is not tried yet.
        Paused = "paused",
        /// Too much waits to be written.
        Overloaded = "overloaded",
        /// Reading failed.
        ReadFailed = "read_failed",
        /// Reading took too long.
        Slow = "slow",
        /// The store cannot be opened.
        Unusable = "unusable",
    }
}

label! {
    /// The logs that have a writer.
    Log {
        /// The access log.
        Access = "access",
        /// The audit log.
        Audit = "audit",
        /// The operational log.
        Operational = "operational",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices_match<L: Label>() {
        for (place, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), place);
        }
    }

    #[test]
    fn indices_are_places_in_the_list() {
        indices_match::<Method>();
        indices_match::<StatusClass>();
        indices_match::<CloseReason>();
    }

    #[test]
    fn knows_nine_methods_and_calls_the_rest_other() {
        for method in &Method::ALL[..9] {
            assert_eq!(Method::of(method.as_str()), *method);
        }
        for token in ["", "get", "GETT", "PROPFIND", "other"] {
            assert_eq!(Method::of(token), Method::Other);
        }
    }

    #[test]
    fn classifies_every_status() {
        for (status, class) in [(100, "1xx"), (204, "2xx"), (399, "3xx"), (499, "4xx"), (599, "5xx")] {
            assert_eq!(StatusClass::of(status).as_str(), class);
        }
        for status in [0, 99, 600, u16::MAX] {
            assert_eq!(StatusClass::of(status), StatusClass::Unknown);
        }
    }
}
