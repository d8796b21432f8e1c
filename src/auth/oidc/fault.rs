//! Why a login does not succeed: one stable reason each, for metrics, logs and the problem document.

use http::StatusCode;

use super::id_token::IdFault;

/// Why a login does not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The way back has no `state`, neither `code` nor `error`, both, or one of them twice.
    CallbackMalformed,
    /// No cookie of this browser is of this attempt: it was begun elsewhere, or somebody else began it (login CSRF).
    AttemptUnknown,
    /// It was begun too long ago.
    AttemptExpired,
    /// The answer names another issuer, or none where this one always names itself (RFC 9207): a mix-up.
    IssuerMismatch,
    /// `access_denied`.
    Denied,
    /// The issuer would have had to ask, and `prompt` forbids it.
    InteractionRequired,
    /// The issuer answers with another error: it takes offence at how we ask.
    ProviderRefused,
    /// The issuer does not answer, or says that it cannot now.
    ProviderUnavailable,
    /// `invalid_grant`: the code is not known, was used already, or is not ours.
    CodeRefused,
    /// `invalid_client` and whatever else the token endpoint has against us.
    ClientRefused,
    /// The token endpoint's answer is no answer.
    TokensMalformed,
    /// The ID token is not one for this login.
    IdToken(IdFault),
    /// Tokens and claims are more than browsers keep in cookies.
    SessionTooLarge,
    /// No random bytes, or no memory.
    Internal,
}

impl Fault {
    /// What the client is told. 4xx: beginning anew may help; 5xx: it is for the operator or the issuer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::CallbackMalformed
            | Self::AttemptUnknown
            | Self::AttemptExpired
            | Self::IssuerMismatch
            | Self::CodeRefused => StatusCode::BAD_REQUEST,
            Self::Denied | Self::InteractionRequired => StatusCode::FORBIDDEN,
            Self::ProviderRefused
            | Self::ClientRefused
            | Self::TokensMalformed
            | Self::IdToken(_)
            | Self::SessionTooLarge => StatusCode::BAD_GATEWAY,
            Self::ProviderUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable `snake_case` reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::CallbackMalformed => "oidc_callback_malformed",
            Self::AttemptUnknown => "oidc_attempt_unknown",
            Self::AttemptExpired => "oidc_attempt_expired",
            Self::IssuerMismatch => "oidc_issuer_mismatch",
            Self::Denied => "oidc_access_denied",
            Self::InteractionRequired => "oidc_interaction_required",
            Self::ProviderRefused => "oidc_provider_refused",
            Self::ProviderUnavailable => "oidc_unavailable",
            Self::CodeRefused => "oidc_code_refused",
            Self::ClientRefused => "oidc_client_refused",
            Self::TokensMalformed => "oidc_tokens_malformed",
            Self::IdToken(fault) => fault.reason(),
            Self::SessionTooLarge => "oidc_session_too_large",
            Self::Internal => "oidc_internal_error",
        }
    }

    /// One sentence for whoever sits before the browser, where it helps.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::AttemptUnknown => Some(
                "this login was not begun in this browser, or cookies are blocked; open the page again to begin anew",
            ),
            Self::AttemptExpired | Self::CodeRefused => {
                Some("this login took too long; open the page again to begin anew")
            }
            Self::Denied => Some("the identity provider did not let you in"),
            _ => None,
        }
    }

    /// What an `error` on the way back means (RFC 6749 §4.1.2.1, `OpenID` Connect Core §3.1.2.6).
    pub(super) fn of_answer(code: &str) -> Self {
        match code {
            "access_denied" => Self::Denied,
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                Self::InteractionRequired
            }
            "temporarily_unavailable" | "server_error" => Self::ProviderUnavailable,
            _ => Self::ProviderRefused,
        }
    }
}

impl From<IdFault> for Fault {
    fn from(fault: IdFault) -> Self {
        match fault {
            // Nothing is wrong with the token: nobody can tell now.
            IdFault::KeysUnavailable => Self::ProviderUnavailable,
            fault => Self::IdToken(fault),
        }
    }
}
