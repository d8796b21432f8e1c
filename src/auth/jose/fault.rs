//! Why a token or a proof is refused: one reason each, stable, for metrics, logs and the problem document.

/// What a client is told beside the reason (RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 401 `invalid_token`.
    InvalidToken,
    /// 403 `insufficient_scope`: the token is good, and does not suffice.
    InsufficientScope,
    /// 401 `invalid_dpop_proof`.
    InvalidProof,
    /// 401 `use_dpop_nonce`, with a fresh nonce in `DPoP-Nonce`.
    UseNonce,
    /// 503: nothing is wrong with what came, but it cannot be decided on now.
    Unavailable,
}

impl Answer {
    /// The `error` of the challenge; none goes with 503.
    #[must_use]
    pub const fn error_code(self) -> Option<&'static str> {
        match self {
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::InvalidProof => Some("invalid_dpop_proof"),
            Self::UseNonce => Some("use_dpop_nonce"),
            Self::Unavailable => None,
        }
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $reason:literal, $answer:ident;)*) => {
        /// Why a token or a proof is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable `snake_case` reason.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)* }
            }

            /// What the client is told.
            #[must_use]
            pub const fn answer(self) -> Answer {
                match self { $(Self::$name => Answer::$answer,)* }
            }
        }
    };
}

faults! {
    // The token's form.
    /// Longer than the policy lets tokens be.
    TooLarge = "token_too_large", InvalidToken;
    /// Not three parts in base64url, in its one spelling.
    Malformed = "token_malformed", InvalidToken;
    /// The JSON serialisation (RFC 7515 section 7.2).
    JsonSerialised = "token_json_serialised", InvalidToken;
    /// Five parts: a JWE (RFC 7516).
    Encrypted = "token_encrypted", InvalidToken;
    /// `zip` (RFC 8725 section 3.6).
    Compressed = "token_compressed", InvalidToken;
    /// `cty: JWT`, a token in a token (RFC 7519 section 5.2).
    Nested = "token_nested", InvalidToken;
    /// `b64`: the payload may stand unencoded (RFC 7797).
    Unencoded = "token_unencoded", InvalidToken;
    /// The header is not a JSON object with members of the right types.
    HeaderMalformed = "header_malformed", InvalidToken;
    /// The header has a member twice.
    DuplicateHeader = "duplicate_header", InvalidToken;
    /// `crit`: an extension must be understood, and none is (RFC 7515 section 4.1.11).
    CriticalHeader = "critical_header_unknown", InvalidToken;
    /// `jwk`, `jku`, `x5c` or `x5u`: the token names its own key.
    KeyInHeader = "key_in_header", InvalidToken;
    /// The claims are not a JSON object.
    ClaimsMalformed = "claims_malformed", InvalidToken;
    /// The claims have a member twice, at whatever level.
    DuplicateClaim = "duplicate_claim", InvalidToken;
    /// Header or claims are nested more than 16 levels deep.
    TooDeep = "token_too_deep", InvalidToken;
    /// `typ` is of another kind of token.
    TypeWrong = "type_not_accepted", InvalidToken;

    // Its algorithm, key and signature.
    /// `alg: none`, in whatever case.
    AlgorithmNone = "algorithm_none", InvalidToken;
    /// An algorithm that nobody here knows.
    AlgorithmUnknown = "algorithm_unknown", InvalidToken;
    /// An algorithm that the policy does not allow.
    AlgorithmNotAllowed = "algorithm_not_allowed", InvalidToken;
    /// The key that `kid` names is for other algorithms.
    AlgorithmNotOfKey = "algorithm_not_of_key", InvalidToken;
    /// No key of this name, or none for this algorithm. The set may be old: the caller may fetch it anew.
    KeyUnknown = "key_unknown", InvalidToken;
    /// No `kid`, and several keys that might be meant.
    KeyAmbiguous = "key_id_missing", InvalidToken;
    /// The third part is empty.
    SignatureMissing = "signature_missing", InvalidToken;
    /// The signature is not one of the key over the token.
    SignatureInvalid = "signature_invalid", InvalidToken;

    // Its claims.
    /// Its server does not call it active (RFC 7662 section 2.2).
    Inactive = "token_inactive", InvalidToken;
    /// `exp`, `nbf` or `iat` is no number of seconds from 1970 to 9999.
    TimeInvalid = "time_claim_invalid", InvalidToken;
    /// `iss`, `sub`, `jti`, `client_id` or `azp` is no string.
    TextInvalid = "text_claim_invalid", InvalidToken;
    /// `aud` is neither a string nor a list of strings.
    AudienceInvalid = "audience_invalid", InvalidToken;
    /// `scope` or `scp` is neither a string nor a list of strings.
    ScopeInvalid = "scope_invalid", InvalidToken;
    /// No `iss`.
    IssuerMissing = "issuer_missing", InvalidToken;
    /// `iss` is another issuer.
    IssuerWrong = "issuer_not_accepted", InvalidToken;
    /// No `aud`.
    AudienceMissing = "audience_missing", InvalidToken;
    /// `aud` names others alone.
    AudienceWrong = "audience_not_accepted", InvalidToken;
    /// No `exp`.
    ExpiryMissing = "expiry_missing", InvalidToken;
    /// `exp` is over.
    Expired = "token_expired", InvalidToken;
    /// `nbf` is yet to come.
    NotYetValid = "token_not_yet_valid", InvalidToken;
    /// `iat` is yet to come.
    IssuedInFuture = "token_issued_in_future", InvalidToken;
    /// No `iat`, where the policy limits a token's age.
    IssuedAtMissing = "issued_at_missing", InvalidToken;
    /// `iat` is longer ago than the policy allows.
    TooOld = "token_too_old", InvalidToken;
    /// No `sub`, or an empty one, where the policy demands it.
    SubjectMissing = "subject_missing", InvalidToken;
    /// No `jti`, or an empty one, where the policy demands it.
    IdMissing = "token_id_missing", InvalidToken;
    /// A scope that the policy demands is not among the token's.
    ScopeMissing = "scope_missing", InsufficientScope;
    /// A claim that the policy demands is not there, or has another value.
    ClaimMismatch = "claim_mismatch", InsufficientScope;

    // What it is bound to.
    /// `cnf` holds something other than `jkt` and `x5t#S256`, or nothing, so its binding cannot be checked.
    ConfirmationUnknown = "confirmation_unknown", InvalidToken;
    /// The policy demands a bound token, and this one is not.
    TokenUnbound = "token_not_bound", InvalidToken;
    /// A token bound to a key came as a bearer token.
    BoundTokenAsBearer = "dpop_scheme_missing", InvalidToken;
    /// The token is bound to a certificate, and the client showed none.
    CertificateMissing = "certificate_missing", InvalidToken;
    /// The token is bound to another certificate.
    CertificateWrong = "certificate_not_of_token", InvalidToken;
    /// The token is bound to a key, and no proof came with it.
    ProofMissing = "dpop_proof_missing", InvalidProof;
    /// More than one proof came with it.
    ProofRepeated = "dpop_proof_repeated", InvalidProof;

    // The proof.
    /// Not a JWT as RFC 9449 section 4.2 describes it.
    ProofMalformed = "dpop_malformed", InvalidProof;
    /// `typ` is not `dpop+jwt`.
    ProofType = "dpop_type", InvalidProof;
    /// `alg` is not an algorithm that the policy allows for proofs.
    ProofAlgorithm = "dpop_algorithm", InvalidProof;
    /// `jwk` is missing, private, symmetric or no good key for `alg`.
    ProofKey = "dpop_key", InvalidProof;
    /// The proof is by another key than the token is bound to.
    ProofKeyWrong = "dpop_key_not_of_token", InvalidProof;
    /// `htm` is another method.
    ProofMethod = "dpop_method", InvalidProof;
    /// `htu` is another resource.
    ProofTarget = "dpop_target", InvalidProof;
    /// `iat` is missing, or too long ago.
    ProofAge = "dpop_too_old", InvalidProof;
    /// `iat` is yet to come.
    ProofInFuture = "dpop_issued_in_future", InvalidProof;
    /// `jti` is missing, empty or longer than 256 bytes.
    ProofId = "dpop_id", InvalidProof;
    /// `ath` is missing or of another token.
    ProofTokenHash = "dpop_token_hash", InvalidProof;
    /// The signature is not one of `jwk` over the proof.
    ProofSignature = "dpop_signature", InvalidProof;
    /// The policy demands a nonce, and there is none or none of ours.
    ProofNonce = "dpop_nonce", UseNonce;
    /// The nonce is ours and too old.
    ProofNonceStale = "dpop_nonce_stale", UseNonce;
    /// The proof was seen before.
    ProofReplayed = "dpop_replayed", InvalidProof;
    /// The memory for proofs is full, so a replay would not be noticed.
    ReplaysFull = "dpop_replays_full", Unavailable;
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.reason())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fault_has_a_reason_of_its_own() {
        let reasons: HashSet<_> = Fault::ALL.iter().map(|fault| fault.reason()).collect();
        assert_eq!(reasons.len(), Fault::ALL.len());
        let is_label = |reason: &str| reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(reasons.into_iter().all(is_label));
    }

    #[test]
    fn what_a_token_may_not_do_is_told_apart_from_what_is_no_good_token() {
        assert_eq!(Fault::ScopeMissing.answer().error_code(), Some("insufficient_scope"));
        assert_eq!(Fault::Expired.answer().error_code(), Some("invalid_token"));
        assert_eq!(Fault::ReplaysFull.answer().error_code(), None);
    }
}
