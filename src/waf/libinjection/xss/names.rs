//! The tags, attributes and URL schemes that run scripts or load them.

/// What the value of an attribute may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Danger {
    /// Anything it says is dangerous: it is a script or a style.
    Always,
    /// It is a URL.
    Url,
    /// It names an attribute.
    Name,
}

#[rustfmt::skip]
const TAGS: [&[u8]; 20] = [
    b"APPLET", b"BASE", b"COMMENT", b"EMBED", b"FRAME", b"FRAMESET", b"HANDLER", b"IFRAME", b"IMPORT", b"ISINDEX", b"LINK",
    b"LISTENER", b"META", b"NOSCRIPT", b"OBJECT", b"SCRIPT", b"STYLE", b"VMLFRAME", b"XML", b"XSS",
];

const ATTRIBUTES: [(&[u8], Danger); 20] = [
    (b"ACTION", Danger::Url),
    // SVG names an attribute in the value of another.
    (b"ATTRIBUTENAME", Danger::Name),
    (b"BACKGROUND", Danger::Url),
    (b"BY", Danger::Url),
    (b"DATAFORMATAS", Danger::Always),
    (b"DATASRC", Danger::Always),
    (b"DYNSRC", Danger::Url),
    (b"FILTER", Danger::Always),
    (b"FOLDER", Danger::Url),
    (b"FORMACTION", Danger::Url),
    (b"FROM", Danger::Url),
    (b"HANDLER", Danger::Url),
    (b"HREF", Danger::Url),
    (b"LOWSRC", Danger::Url),
    (b"POSTER", Danger::Url),
    (b"SRC", Danger::Url),
    (b"STYLE", Danger::Always),
    (b"TO", Danger::Url),
    (b"VALUES", Danger::Url),
    (b"XLINK:HREF", Danger::Url),
];

/// `JAVA` is for `javascript:` and its mutilations.
const SCHEMES: [&[u8]; 4] = [b"DATA", b"VIEW-SOURCE", b"JAVA", b"VBSCRIPT"];

/// What follows `on`: an attribute that starts with one of these is an event handler. Sorted, and none is the start of
/// another, so that one look decides.
#[rustfmt::skip]
const EVENTS: &[&str] = &[
    "ABORT", "ACTIVATE", "ACTIVE", "ADDSOURCEBUFFER", "ADDSTREAM", "ADDTRACK", "AFTERPRINT",
    "ANIMATIONCANCEL", "ANIMATIONEND", "ANIMATIONITERATION", "ANIMATIONSTART", "AUDIOEND", "AUDIOPROCESS",
    "AUDIOSTART", "AUTOCOMPLETE", "BEFOREACTIVATE", "BEFORECOPY", "BEFORECUT", "BEFOREINPUT", "BEFORELOAD",
    "BEFOREPASTE", "BEFOREPRINT", "BEFOREUNLOAD", "BEGINEVENT", "BLOCKED", "BLUR", "BOUNDARY",
    "BUFFEREDAMOUNTLOW", "CACHED", "CANCEL", "CANPLAY", "CHANGE", "CHARGINGCHANGE", "CHARGINGTIMECHANGE",
    "CHECKING", "CLICK", "CLOSE", "COMPLETE", "COMPOSITIONEND", "COMPOSITIONSTART", "COMPOSITIONUPDATE",
    "CONNECT", "CONTEXTMENU", "CONTROLLERCHANGE", "COPY", "CUECHANGE", "CUT", "DATAAVAILABLE", "DATACHANNEL",
    "DBLCLICK", "DEVICECHANGE", "DEVICEMOTION", "DEVICEORIENTATION", "DISCHARGINGTIMECHANGE", "DISCONNECT",
    "DOMACTIVATE", "DOMCHARACTERDATAMODIFIED", "DOMCONTENTLOADED", "DOMFOCUSIN", "DOMFOCUSOUT",
    "DOMNODEINSERTED", "DOMNODEREMOVED", "DOMSUBTREEMODIFIED", "DOWNLOADING", "DRAG", "DROP",
    "DURATIONCHANGE", "EMPTIED", "ENCRYPTED", "END", "ENTER", "ERROR", "EXIT", "FETCH", "FINISH", "FOCUS",
    "FORMCHANGE", "FORMINPUT", "GAMEPADCONNECTED", "GAMEPADDISCONNECTED", "GESTURECHANGE", "GESTUREEND",
    "GESTURESCROLLEND", "GESTURESCROLLSTART", "GESTURESCROLLUPDATE", "GESTURESTART", "GESTURETAP",
    "GOTPOINTERCAPTURE", "HASHCHANGE", "ICECANDIDATE", "ICECONNECTIONSTATECHANGE", "ICEGATHERINGSTATECHANGE",
    "INACTIVE", "INPUT", "INSTALL", "INVALID", "KEYDOWN", "KEYPRESS", "KEYSTATUSESCHANGE", "KEYUP",
    "LANGUAGECHANGE", "LEAVEPICTUREINPICTURE", "LEVELCHANGE", "LOAD", "LOSTPOINTERCAPTURE", "MARK",
    "MERCHANTVALIDATION", "MESSAGE", "MOUSEDOWN", "MOUSEENTER", "MOUSELEAVE", "MOUSEMOVE", "MOUSEOUT",
    "MOUSEOVER", "MOUSEUP", "MOUSEWHEEL", "MUTE", "NEGOTIATIONNEEDED", "NEXTTRACK", "NOMATCH", "NOUPDATE",
    "OBSOLETE", "OFFLINE", "ONLINE", "OPEN", "ORIENTATIONCHANGE", "OVERCONSTRAINED", "OVERFLOWCHANGED",
    "PAGEHIDE", "PAGESHOW", "PASTE", "PAUSE", "PAYERDETAILCHANGE", "PAYMENTAUTHORIZED", "PAYMENTMETHODCHANGE",
    "PAYMENTMETHODSELECTED", "PLAY", "POINTERCANCEL", "POINTERDOWN", "POINTERENTER", "POINTERLEAVE",
    "POINTERLOCKCHANGE", "POINTERLOCKERROR", "POINTERMOVE", "POINTEROUT", "POINTEROVER", "POINTERUP",
    "POPSTATE", "PREVIOUSTRACK", "PROCESSORERROR", "PROGRESS", "PROPERTYCHANGE", "RATECHANGE",
    "READYSTATECHANGE", "REJECTIONHANDLED", "REMOVE", "RESET", "RESIZE", "RESOURCETIMINGBUFFERFULL", "RESULT",
    "RESUME", "SCROLL", "SEARCH", "SECURITYPOLICYVIOLATION", "SEEKED", "SEEKING", "SELECT",
    "SHIPPINGADDRESSCHANGE", "SHIPPINGCONTACTSELECTED", "SHIPPINGMETHODSELECTED", "SHIPPINGOPTIONCHANGE",
    "SHOW", "SIGNALINGSTATECHANGE", "SLOTCHANGE", "SOUNDEND", "SOUNDSTART", "SOURCECLOSE", "SOURCEENDED",
    "SOURCEOPEN", "SPEECHEND", "SPEECHSTART", "SQUEEZE", "STALLED", "START", "STATECHANGE", "STOP", "STORAGE",
    "SUBMIT", "SUCCESS", "SUSPEND", "TEXTINPUT", "TIMEOUT", "TIMEUPDATE", "TOGGLE", "TONECHANGE",
    "TOUCHCANCEL", "TOUCHEND", "TOUCHFORCECHANGE", "TOUCHMOVE", "TOUCHSTART", "TRACK", "TRANSITIONCANCEL",
    "TRANSITIONEND", "TRANSITIONRUN", "TRANSITIONSTART", "UNCAPTUREDERROR", "UNHANDLEDREJECTION", "UNLOAD",
    "UNMUTE", "UPDATE", "UPGRADENEEDED", "VALIDATEMERCHANT", "VERSIONCHANGE", "VISIBILITYCHANGE",
    "VOLUMECHANGE", "WAITING", "WEBGLCONTEXTCHANGED", "WEBGLCONTEXTCREATIONERROR", "WEBGLCONTEXTLOST",
    "WEBGLCONTEXTRESTORED", "WEBKITANIMATIONEND", "WEBKITANIMATIONITERATION", "WEBKITANIMATIONSTART",
    "WEBKITBEFORETEXTINSERTED", "WEBKITBEGINFULLSCREEN", "WEBKITCURRENTPLAYBACKTARGETISWIRELESSCHANGED",
    "WEBKITENDFULLSCREEN", "WEBKITFULLSCREENCHANGE", "WEBKITFULLSCREENERROR", "WEBKITKEYADDED",
    "WEBKITKEYERROR", "WEBKITKEYMESSAGE", "WEBKITMOUSEFORCECHANGED", "WEBKITMOUSEFORCEDOWN",
    "WEBKITMOUSEFORCEUP", "WEBKITMOUSEFORCEWILLBEGIN", "WEBKITNEEDKEY", "WEBKITNETWORKINFOCHANGE",
    "WEBKITPLAYBACKTARGETAVAILABILITYCHANGED", "WEBKITPRESENTATIONMODECHANGED", "WEBKITREGIONOVERSETCHANGE",
    "WEBKITREMOVESOURCEBUFFER", "WEBKITSOURCECLOSE", "WEBKITSOURCEENDED", "WEBKITSOURCEOPEN",
    "WEBKITSPEECHCHANGE", "WEBKITTRANSITIONEND", "WEBKITWILLREVEALBOTTOM", "WEBKITWILLREVEALLEFT",
    "WEBKITWILLREVEALRIGHT", "WEBKITWILLREVEALTOP", "WHEEL", "WRITE", "ZOOM",
];

/// Whether a tag of this name is dangerous by itself.
pub(super) fn is_dangerous_tag(name: &[u8]) -> bool {
    let Some(start) = name.first_chunk::<3>() else { return false };
    start.eq_ignore_ascii_case(b"svg")
        || start.eq_ignore_ascii_case(b"xsl")
        || TAGS.iter().any(|tag| is_name(tag, name))
}

/// What the value of the attribute of this name may do, if anything.
pub(super) fn danger_of_attribute(name: &[u8]) -> Option<Danger> {
    if name.len() < 2 {
        return None;
    }
    if let Some((start, _)) = name.split_at_checked(5) {
        let is_namespace = start.eq_ignore_ascii_case(b"xmlns") || start.eq_ignore_ascii_case(b"xlink");
        if is_namespace || is_event(name) {
            return Some(Danger::Always);
        }
    }
    ATTRIBUTES.iter().find(|(attribute, _)| is_name(attribute, name)).map(|(_, danger)| *danger)
}

fn is_event(name: &[u8]) -> bool {
    let Some((b"on" | b"ON" | b"On" | b"oN", event)) = name.split_at_checked(2) else { return false };
    let upper = || event.iter().map(u8::to_ascii_uppercase);
    let after = EVENTS.partition_point(|name| name.bytes().le(upper()));
    let Some(name) = after.checked_sub(1).and_then(|before| EVENTS.get(before)) else { return false };
    event.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether `text` is this name in any case, with any NULs in it, which old browsers skip.
pub(super) fn is_name(name: &[u8], text: &[u8]) -> bool {
    let mut rest = name.iter();
    text.iter().filter(|byte| **byte != 0).all(|byte| rest.next() == Some(&byte.to_ascii_uppercase()))
        && rest.next().is_none()
}

/// Whether a browser that follows this URL runs it.
pub(super) fn is_dangerous_url(url: &[u8]) -> bool {
    // Some browsers skip what is not ASCII before a scheme.
    let start = url.iter().take_while(|byte| **byte <= b' ' || **byte >= 0x7f).count();
    let mut rest = url.get(start..).unwrap_or_default();
    let mut scheme = [0; 11];
    let mut length = 0;
    while length < scheme.len() && !rest.is_empty() {
        let (character, after) = character(rest);
        rest = after;
        if character == 0 || character == 10 || (length == 0 && character <= 32) {
            continue;
        }
        scheme[length] = u8::try_from(character).unwrap_or(0).to_ascii_uppercase();
        length += 1;
    }
    SCHEMES.iter().any(|dangerous| scheme.starts_with(dangerous))
}

/// The first character of `text`, a byte or a numeric character reference, and what follows.
fn character(text: &[u8]) -> (u32, &[u8]) {
    let (digits, radix) = match text {
        [b'&', b'#', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'&', b'#', digits @ ..] => (digits, 10),
        [byte, rest @ ..] => return (u32::from(*byte), rest),
        [] => return (0, text),
    };
    let ampersand = (u32::from(b'&'), text.get(1..).unwrap_or_default());
    let mut value = None;
    for (index, byte) in digits.iter().enumerate() {
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            let end = index + usize::from(*byte == b';');
            let rest = digits.get(end..).unwrap_or_default();
            return value.map_or(ampersand, |value| (value, rest));
        };
        value = Some(value.unwrap_or(0) * radix + digit).filter(|value| *value <= 0x10_00ff);
        if value.is_none() {
            return ampersand;
        }
    }
    value.map_or(ampersand, |value| (value, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sorted_and_none_is_the_start_of_another() {
        for pair in EVENTS.windows(2) {
            assert!(pair[0] < pair[1] && !pair[1].starts_with(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn knows_every_event_in_any_case_and_with_more_after_it() {
        for event in EVENTS {
            for name in [format!("on{event}"), format!("oN{}x", event.to_lowercase())] {
                assert_eq!(danger_of_attribute(name.as_bytes()), Some(Danger::Always), "{name}");
            }
            let short = format!("on{}", &event[..event.len() - 1]);
            assert_eq!(danger_of_attribute(short.as_bytes()), None, "{short}");
        }
    }

    #[test]
    fn reads_character_references_of_schemes() {
        for url in [
            "javascript:x",
            " \x01jAvA&#115;cript:",
            "&#x6a;ava",
            "&#0000106ava",
            "j\na\0va",
            "d&#97;ta:,",
            "\u{a0}vbscript:",
        ] {
            assert!(is_dangerous_url(url.as_bytes()), "{url}");
        }
        for url in
            ["https://a.example/java", "jav", "&#330;ava", "&#x;java", "&#9999999;java", "dat", "&java", ""]
        {
            assert!(!is_dangerous_url(url.as_bytes()), "{url}");
        }
    }
}
