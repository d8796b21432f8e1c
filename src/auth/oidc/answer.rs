//! What an issuer sends back by the browser (RFC 6749 §4.1.2, RFC 9207), as anybody may have made it.

use percent_encoding::percent_decode_str;

use super::fault::Fault;
use crate::http::query;

/// The query of the callback, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As it went out, if this is an answer to us.
    pub state: String,
    /// `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// A code, or the error's.
    pub outcome: Result<String, String>,
}

impl Answer {
    /// Reads a query. What else stands in it means nothing here.
    ///
    /// # Errors
    /// [`Fault::CallbackMalformed`] when it is no answer, or one that two readers might read differently.
    pub fn read(query: &str) -> Result<Self, Fault> {
        let only = |name| only(query, name);
        let outcome = match (only("code")?, only("error")?) {
            (Some(code), None) if !code.is_empty() => Ok(code),
            (None, Some(error)) if !error.is_empty() => Err(error),
            _ => return Err(Fault::CallbackMalformed),
        };
        let state = only("state")?.ok_or(Fault::CallbackMalformed)?;
        Ok(Self { state, issuer: only("iss")?, outcome })
    }
}

/// The one value of a name. Two are an error, and so is what is not UTF-8.
fn only(query: &str, name: &str) -> Result<Option<String>, Fault> {
    let mut values = query::values(query, name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::CallbackMalformed);
    }
    let spaced = value.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8().map_err(|_| Fault::CallbackMalformed)?;
    Ok(Some(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_codes_and_errors() {
        let answer = Answer::read("code=a%2Fb&state=s&session_state=x&iss=https%3A%2F%2Fid").unwrap();
        let expected =
            Answer { state: "s".into(), issuer: Some("https://id".into()), outcome: Ok("a/b".into()) };
        assert_eq!(answer, expected);
        let answer = Answer::read("error=access_denied&error_description=no+no&state=s").unwrap();
        assert_eq!((answer.outcome, answer.issuer), (Err("access_denied".into()), None));
    }

    #[test]
    fn refuses_what_has_two_readings_or_none() {
        for query in [
            "",
            "code=a",
            "state=s",
            "code=&state=s",
            "error=&state=s",
            "code=a&error=b&state=s",
            "code=a&code=b&state=s",
            "code=a&state=s&state=t",
            "code=a&state=s&iss=a&iss=b",
            "code=%ff&state=s",
            "code=%c0%af&state=s",
            "code=a&c%6fde=b&state=s",
            "Code=a&state=s",
        ] {
            assert_eq!(Answer::read(query), Err(Fault::CallbackMalformed), "{query}");
        }
    }
}
