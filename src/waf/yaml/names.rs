//! What rules look at and what is made of it, by the names that rules use.

use crate::values::nearest::suggestion;
use crate::values::text::quoted;
use crate::waf::ir::{Pattern, Phase, Piece, Selector, Target, Template, Variable};
use crate::waf::transform::Transformation;

/// Arguments of a JSON body, which are called after their path.
const JSON: &str = "json";
const JSON_MEMBERS: &[u8] = br"^json(?:\.|$)";

/// Every variable, by name.
#[rustfmt::skip]
pub(super) const TARGETS: &[(&str, Variable)] = &[
    ("args", Variable::Args),
    ("arg_names", Variable::ArgsNames),
    ("args_size", Variable::ArgsCombinedSize),
    ("query_args", Variable::ArgsGet),
    ("query_arg_names", Variable::ArgsGetNames),
    ("body_args", Variable::ArgsPost),
    ("body_arg_names", Variable::ArgsPostNames),
    ("method", Variable::RequestMethod),
    ("uri", Variable::RequestUri),
    ("uri.raw", Variable::RequestUriRaw),
    ("path", Variable::RequestFilename),
    ("path.last", Variable::RequestBasename),
    ("path.info", Variable::PathInfo),
    ("query", Variable::QueryString),
    ("protocol", Variable::RequestProtocol),
    ("request_line", Variable::RequestLine),
    ("headers", Variable::RequestHeaders),
    ("header_names", Variable::RequestHeadersNames),
    ("cookies", Variable::RequestCookies),
    ("cookie_names", Variable::RequestCookiesNames),
    ("body", Variable::RequestBody),
    ("body.size", Variable::RequestBodyLength),
    ("body.format", Variable::ReqbodyProcessor),
    ("body.error", Variable::ReqbodyError),
    ("body.error_message", Variable::ReqbodyErrorMsg),
    ("body.format_error", Variable::ReqbodyProcessorError),
    ("body.format_error_message", Variable::ReqbodyProcessorErrorMsg),
    ("body.too_long", Variable::InboundDataError),
    ("body.url_encoding_error", Variable::UrlencodedError),
    ("request", Variable::FullRequest),
    ("request.size", Variable::FullRequestLength),
    ("xml", Variable::Xml),
    ("xml.attributes", Variable::XmlAttributes),
    ("files.name", Variable::Files),
    ("files.field", Variable::FilesNames),
    ("files.size", Variable::FilesSizes),
    ("files.total_size", Variable::FilesCombinedSize),
    ("files.content", Variable::FilesTmpContent),
    ("parts.headers", Variable::MultipartPartHeaders),
    ("parts.name", Variable::MultipartName),
    ("parts.filename", Variable::MultipartFilename),
    ("multipart.error", Variable::MultipartStrictError),
    ("multipart.boundary_quoted", Variable::MultipartBoundaryQuoted),
    ("multipart.boundary_whitespace", Variable::MultipartBoundaryWhitespace),
    ("multipart.mixed_line_ends", Variable::MultipartCrlfLfLines),
    ("multipart.data_before", Variable::MultipartDataBefore),
    ("multipart.data_after", Variable::MultipartDataAfter),
    ("multipart.too_many_files", Variable::MultipartFileLimitExceeded),
    ("multipart.header_folding", Variable::MultipartHeaderFolding),
    ("multipart.invalid_header_folding", Variable::MultipartInvalidHeaderFolding),
    ("multipart.invalid_part", Variable::MultipartInvalidPart),
    ("multipart.invalid_quoting", Variable::MultipartInvalidQuoting),
    ("multipart.lf_line", Variable::MultipartLfLine),
    ("multipart.missing_semicolon", Variable::MultipartMissingSemicolon),
    ("multipart.unmatched_boundary", Variable::MultipartUnmatchedBoundary),
    ("client.ip", Variable::RemoteAddr),
    ("client.host", Variable::RemoteHost),
    ("client.port", Variable::RemotePort),
    ("client.user", Variable::RemoteUser),
    ("client.auth_type", Variable::AuthType),
    ("client.country", Variable::Geo),
    ("server.ip", Variable::ServerAddr),
    ("server.name", Variable::ServerName),
    ("server.port", Variable::ServerPort),
    ("response.status", Variable::ResponseStatus),
    ("response.status_line", Variable::StatusLine),
    ("response.protocol", Variable::ResponseProtocol),
    ("response.headers", Variable::ResponseHeaders),
    ("response.header_names", Variable::ResponseHeadersNames),
    ("response.type", Variable::ResponseContentType),
    ("response.size", Variable::ResponseContentLength),
    ("response.body", Variable::ResponseBody),
    ("response.too_long", Variable::OutboundDataError),
    ("tx", Variable::Tx),
    ("ip", Variable::Ip),
    ("global", Variable::Global),
    ("resource", Variable::Resource),
    ("session", Variable::Session),
    ("session_id", Variable::SessionId),
    ("user", Variable::User),
    ("user_id", Variable::UserId),
    ("env", Variable::Env),
    ("rule", Variable::Rule),
    ("matched.value", Variable::MatchedVar),
    ("matched.name", Variable::MatchedVarName),
    ("matched.values", Variable::MatchedVars),
    ("matched.names", Variable::MatchedVarsNames),
    ("highest_severity", Variable::HighestSeverity),
    ("id", Variable::UniqueId),
    ("app", Variable::WebAppId),
    ("engine.build", Variable::ModsecBuild),
    ("engine.pattern_limit_reached", Variable::MscPcreLimitsExceeded),
    ("duration_ms", Variable::Duration),
    ("time", Variable::Time),
    ("time.unix", Variable::TimeEpoch),
    ("time.year", Variable::TimeYear),
    ("time.month", Variable::TimeMon),
    ("time.day", Variable::TimeDay),
    ("time.weekday", Variable::TimeWday),
    ("time.hour", Variable::TimeHour),
    ("time.minute", Variable::TimeMin),
    ("time.second", Variable::TimeSec),
];

/// Every transformation, by name.
#[rustfmt::skip]
pub(super) const TRANSFORMATIONS: &[(&str, Transformation)] = &[
    ("base64_decode_strict", Transformation::Base64Decode),
    ("base64_decode", Transformation::Base64DecodeExt),
    ("base64_encode", Transformation::Base64Encode),
    ("cmd_line", Transformation::CmdLine),
    ("compress_whitespace", Transformation::CompressWhitespace),
    ("css_decode", Transformation::CssDecode),
    ("escape_decode", Transformation::EscapeSeqDecode),
    ("hex_decode", Transformation::HexDecode),
    ("hex_encode", Transformation::HexEncode),
    ("html_decode", Transformation::HtmlEntityDecode),
    ("js_decode", Transformation::JsDecode),
    ("length", Transformation::Length),
    ("lowercase", Transformation::Lowercase),
    ("md5", Transformation::Md5),
    ("none", Transformation::None),
    ("normalize_path", Transformation::NormalizePath),
    ("normalize_windows_path", Transformation::NormalizePathWin),
    ("parity_even", Transformation::ParityEven7bit),
    ("parity_odd", Transformation::ParityOdd7bit),
    ("parity_zero", Transformation::ParityZero7bit),
    ("remove_comments", Transformation::RemoveComments),
    ("remove_comment_marks", Transformation::RemoveCommentsChar),
    ("remove_nulls", Transformation::RemoveNulls),
    ("remove_whitespace", Transformation::RemoveWhitespace),
    ("replace_comments", Transformation::ReplaceComments),
    ("replace_nulls", Transformation::ReplaceNulls),
    ("sha1", Transformation::Sha1),
    ("sql_hex_decode", Transformation::SqlHexDecode),
    ("trim", Transformation::Trim),
    ("trim_left", Transformation::TrimLeft),
    ("trim_right", Transformation::TrimRight),
    ("uppercase", Transformation::Uppercase),
    ("url_decode_strict", Transformation::UrlDecode),
    ("url_decode", Transformation::UrlDecodeUni),
    ("url_encode", Transformation::UrlEncode),
    ("utf8_to_unicode", Transformation::Utf8toUnicode),
];

/// Reads `args`, `headers.user-agent`, `args./^token/`, `count(cookies)`.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let counted = text.strip_prefix("count(").and_then(|text| text.strip_suffix(')'));
    let (variable, member) = split(counted.unwrap_or(text))?;
    let selector = match member {
        None => Selector::All,
        Some(Member::Json(None)) => Selector::Pattern(Pattern { text: JSON_MEMBERS.into() }),
        Some(Member::Json(Some(_))) => {
            Selector::Name(counted.unwrap_or(text).to_ascii_lowercase().into_bytes().into())
        }
        Some(Member::Of(member)) => match member.strip_prefix('/').and_then(|text| text.strip_suffix('/')) {
            Some(pattern) => Selector::Pattern(Pattern { text: pattern.as_bytes().into() }),
            None if member.starts_with('/') => {
                return Err(format!("a pattern of names ends with a slash, unlike {}", quoted(text)));
            }
            None => Selector::Name(member.to_ascii_lowercase().into_bytes().into()),
        },
    };
    Ok(Target { variable, selector, count: counted.is_some(), excluded: false })
}

enum Member<'a> {
    /// A member of a JSON body, or all.
    Json(Option<&'a str>),
    Of(&'a str),
}

fn split(text: &str) -> Result<(Variable, Option<Member<'_>>), String> {
    if let Some(rest) = text.strip_prefix(JSON) {
        match rest.strip_prefix('.').filter(|member| !member.is_empty()) {
            _ if rest.is_empty() => return Ok((Variable::ArgsPost, Some(Member::Json(None)))),
            Some(member) => return Ok((Variable::ArgsPost, Some(Member::Json(Some(member))))),
            None => {}
        }
    }
    let fits =
        |name: &str| text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // Of `body` and `body.size` the longer is meant.
    let longest = TARGETS.iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len());
    let Some((name, variable)) = longest else {
        let names = TARGETS.iter().map(|(name, _)| *name).chain([JSON]);
        return Err(format!("there is nothing called {}{}", quoted(text), suggestion(text, names)));
    };
    let member = text.get(name.len() + 1..);
    match member {
        None => Ok((*variable, None)),
        Some("" | "/" | "//") => Err(format!("{} ends without a name", quoted(text))),
        Some(_)
            if !variable.is_collection()
                || *variable == Variable::Xml
                || *variable == Variable::XmlAttributes =>
        {
            let names = TARGETS.iter().map(|(name, _)| *name);
            Err(format!("{name} has no members, found {}{}", quoted(text), suggestion(text, names)))
        }
        Some(member) => Ok((*variable, Some(Member::Of(member)))),
    }
}

/// Reads text with `%{…}` in it: what is between the braces is a target, of which the first value is meant.
pub(super) fn template(text: &str) -> Result<Template, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%{") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("%{{ is not closed in {}", quoted(text)));
        };
        push_text(&mut pieces, before);
        let target = target(name)?;
        pieces.push(match target.selector {
            _ if target.count => return Err(format!("%{{{name}}} counts: only values can stand in a text")),
            Selector::All => Piece::Variable(target.variable, None),
            Selector::Name(member) => Piece::Variable(target.variable, Some(member)),
            Selector::Pattern(_) => return Err(format!("%{{{name}}} means many values")),
        });
        rest = after;
    }
    push_text(&mut pieces, rest);
    Ok(Template { pieces })
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.as_bytes().into()));
    }
}

/// A variable that `set` and the like may change, and its name in it.
pub(super) fn variable(text: &str) -> Result<(Variable, Template), String> {
    let (collection, name) = text.split_once('.').unwrap_or((text, ""));
    let known = SETTABLE.iter().find(|(known, _)| *known == collection);
    match known {
        Some((_, variable)) if !name.is_empty() => Ok((*variable, template(name)?)),
        _ => {
            let near = suggestion(collection, SETTABLE.iter().map(|(known, _)| *known));
            Err(format!("expected a variable such as tx.seen or ip.requests, found {}{near}", quoted(text)))
        }
    }
}

/// What lasts longer than a request, and `tx`, which does not.
pub(super) const SETTABLE: &[(&str, Variable)] = &[
    ("tx", Variable::Tx),
    ("ip", Variable::Ip),
    ("session", Variable::Session),
    ("user", Variable::User),
    ("resource", Variable::Resource),
    ("global", Variable::Global),
];

/// Known once the request's body is.
const OF_THE_BODY: [Variable; 40] = {
    use Variable as V;
    [
        V::Args,
        V::ArgsCombinedSize,
        V::ArgsNames,
        V::ArgsPost,
        V::ArgsPostNames,
        V::Files,
        V::FilesCombinedSize,
        V::FilesNames,
        V::FilesSizes,
        V::FilesTmpContent,
        V::FullRequest,
        V::FullRequestLength,
        V::InboundDataError,
        V::MultipartBoundaryQuoted,
        V::MultipartBoundaryWhitespace,
        V::MultipartCrlfLfLines,
        V::MultipartDataAfter,
        V::MultipartDataBefore,
        V::MultipartFileLimitExceeded,
        V::MultipartFilename,
        V::MultipartHeaderFolding,
        V::MultipartInvalidHeaderFolding,
        V::MultipartInvalidPart,
        V::MultipartInvalidQuoting,
        V::MultipartLfLine,
        V::MultipartMissingSemicolon,
        V::MultipartName,
        V::MultipartPartHeaders,
        V::MultipartStrictError,
        V::MultipartUnmatchedBoundary,
        V::ReqbodyError,
        V::ReqbodyErrorMsg,
        V::ReqbodyProcessor,
        V::ReqbodyProcessorError,
        V::ReqbodyProcessorErrorMsg,
        V::RequestBody,
        V::RequestBodyLength,
        V::UrlencodedError,
        V::Xml,
        V::XmlAttributes,
    ]
};
/// Known once the response's head is.
const OF_THE_RESPONSE: [Variable; 7] = {
    use Variable as V;
    [
        V::ResponseContentLength,
        V::ResponseContentType,
        V::ResponseHeaders,
        V::ResponseHeadersNames,
        V::ResponseProtocol,
        V::ResponseStatus,
        V::StatusLine,
    ]
};
/// What changes as rules run, or is always there.
const AT_ANY_TIME: [Variable; 30] = {
    use Variable as V;
    [
        V::Duration,
        V::Env,
        V::Geo,
        V::Global,
        V::HighestSeverity,
        V::Ip,
        V::MatchedVar,
        V::MatchedVarName,
        V::MatchedVars,
        V::MatchedVarsNames,
        V::ModsecBuild,
        V::MscPcreLimitsExceeded,
        V::Resource,
        V::Rule,
        V::Session,
        V::SessionId,
        V::Time,
        V::TimeDay,
        V::TimeEpoch,
        V::TimeHour,
        V::TimeMin,
        V::TimeMon,
        V::TimeSec,
        V::TimeWday,
        V::TimeYear,
        V::Tx,
        V::UniqueId,
        V::User,
        V::UserId,
        V::WebAppId,
    ]
};

/// From when on the target has all its values; `None` for what changes as rules run, or is always there.
pub(super) fn known_from(target: &Target) -> Option<Phase> {
    match target.variable {
        Variable::ResponseBody | Variable::OutboundDataError => Some(Phase::ResponseBody),
        other if OF_THE_RESPONSE.contains(&other) => Some(Phase::ResponseHeaders),
        other if OF_THE_BODY.contains(&other) => Some(Phase::RequestBody),
        other if AT_ANY_TIME.contains(&other) => None,
        _ => Some(Phase::RequestHeaders),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_rules_can_look_at_has_a_name() {
        for variable in Variable::ALL {
            assert_eq!(TARGETS.iter().filter(|(_, known)| known == variable).count(), 1, "{variable:?}");
        }
        for transformation in Transformation::all() {
            let names = TRANSFORMATIONS.iter().filter(|(_, known)| *known == transformation);
            assert_eq!(names.count(), 1, "{transformation:?}");
        }
    }

    #[test]
    fn reads_targets_with_members() {
        let read = |text: &str| {
            let Target { variable, selector, count, .. } = target(text).unwrap();
            let selector = match selector {
                Selector::All => String::new(),
                Selector::Name(name) => format!(":{}", String::from_utf8_lossy(&name)),
                Selector::Pattern(pattern) => format!(":/{}/", String::from_utf8_lossy(&pattern.text)),
            };
            format!("{}{}{selector}", if count { "&" } else { "" }, variable.name())
        };
        for (text, expected) in [
            ("args", "ARGS"),
            ("args.Page", "ARGS:page"),
            ("args.a.b", "ARGS:a.b"),
            ("args./^x.y$/", "ARGS:/^x.y$/"),
            ("headers.user-agent", "REQUEST_HEADERS:user-agent"),
            ("body", "REQUEST_BODY"),
            ("body.size", "REQUEST_BODY_LENGTH"),
            ("json", r"ARGS_POST:/^json(?:\.|$)/"),
            ("json.user.Name", "ARGS_POST:json.user.name"),
            ("count(headers.host)", "&REQUEST_HEADERS:host"),
            ("response.headers.location", "RESPONSE_HEADERS:location"),
            ("files.name.avatar", "FILES:avatar"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn tells_what_a_wrong_target_was_meant_to_be() {
        for (text, expected) in [
            ("agrs", r#"there is nothing called "agrs", did you mean "args"?"#),
            ("respons.body", r#"there is nothing called "respons.body", did you mean "response.body"?"#),
            ("method.x", r#"method has no members, found "method.x", did you mean "method"?"#),
            ("body.sise", r#"body has no members, found "body.sise", did you mean "body.size"?"#),
            ("args.", r#""args." ends without a name"#),
            ("jsonx", r#"there is nothing called "jsonx", did you mean "json"?"#),
            ("", r#"there is nothing called """#),
        ] {
            assert_eq!(target(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn texts_have_values_in_them() {
        let found = template("a %{args.Id} %{method}%").unwrap();
        let expected = [
            Piece::Text(b"a ".as_slice().into()),
            Piece::Variable(Variable::Args, Some(b"id".as_slice().into())),
            Piece::Text(b" ".as_slice().into()),
            Piece::Variable(Variable::RequestMethod, None),
            Piece::Text(b"%".as_slice().into()),
        ];
        assert_eq!(found.pieces, expected);
        for wrong in ["%{", "%{args", "%{agrs}", "%{count(args)}", "%{args./x/}"] {
            assert!(template(wrong).is_err(), "{wrong}");
        }
    }
}
