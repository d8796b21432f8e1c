//! Which values may be shown, by the names of their variables. What is not known to be harmless is not shown.

/// Words in names whose values are nobody's business.
const SECRET_WORDS: [&str; 26] = [
    "assertion",
    "auth",
    "authorization",
    "bearer",
    "card",
    "cookie",
    "credential",
    "credentials",
    "cvc",
    "cvv",
    "iban",
    "jwt",
    "key",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "session",
    "sessionid",
    "sid",
    "ssn",
    "token",
];
/// Parts of names that have the same to say.
const SECRET_PARTS: [&str; 5] = ["apikey", "credential", "passw", "secret", "token"];
/// Variables that are shown as a whole. Of the others only members are, by name: `ARGS:q`.
const PLAIN: [&str; 9] = [
    "REQUEST_METHOD",
    "REQUEST_PROTOCOL",
    "REQUEST_FILENAME",
    "REQUEST_BASENAME",
    "REMOTE_ADDR",
    "RESPONSE_STATUS",
    "REQBODY_ERROR_MSG",
    "REQBODY_PROCESSOR",
    "FILES_COMBINED_SIZE",
];
/// Collections whose members are shown unless their names say otherwise.
const SHOWN: [&str; 11] = [
    "ARGS",
    "ARGS_GET",
    "ARGS_POST",
    "ARGS_NAMES",
    "ARGS_GET_NAMES",
    "ARGS_POST_NAMES",
    "REQUEST_HEADERS",
    "REQUEST_HEADERS_NAMES",
    "FILES",
    "FILES_NAMES",
    "RESPONSE_HEADERS",
];

/// Whether a value may be told, by the name of the variable.
pub(super) fn is_shown(variable: &str) -> bool {
    let Some((collection, member)) = variable.split_once(':') else { return PLAIN.contains(&variable) };
    // `cardNumber` is two words.
    let mut words = String::with_capacity(member.len() + 8);
    let mut before = ' ';
    for letter in member.chars() {
        if letter.is_ascii_uppercase() && !before.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
        before = letter;
    }
    let whole = member.to_ascii_lowercase();
    let is_secret = |text: &str| {
        let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| SECRET_WORDS.contains(&word)) || SECRET_PARTS.iter().any(|part| text.contains(part))
    };
    SHOWN.contains(&collection) && !is_secret(&words) && !is_secret(&whole)
}

#[cfg(test)]
mod tests {
    use super::is_shown;

    #[test]
    fn secrets_are_not_shown() {
        for (variable, expected) in [
            ("ARGS:q", true),
            ("ARGS:json.user.name", true),
            ("REQUEST_HEADERS:user-agent", true),
            ("REQUEST_FILENAME", true),
            ("ARGS:password", false),
            ("ARGS:json.user.newPassword", false),
            ("ARGS_POST:access_token", false),
            ("ARGS:api-key", false),
            ("ARGS:json.payment.cardNumber", false),
            ("ARGS:userPIN", false),
            ("ARGS:sessionId", false),
            ("ARGS:SSN", false),
            ("ARGS:pinned", true),
            ("ARGS:cardinalNumber", true),
            ("ARGS:monkey", true),
            ("REQUEST_HEADERS:Authorization", false),
            ("REQUEST_HEADERS:Cookie", false),
            ("REQUEST_COOKIES:theme", false),
            ("REQUEST_BODY", false),
            ("RESPONSE_BODY", false),
            ("QUERY_STRING", false),
            ("XML:/*", false),
        ] {
            assert_eq!(is_shown(variable), expected, "{variable}");
        }
    }
}
