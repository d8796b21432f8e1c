use std::sync::Arc;

use super::*;

fn detectors(known: &[Detector], action: Action) -> Arc<Detectors> {
    let members = known.iter().flat_map(|detector| detector.members());
    let known: Vec<_> = members.map(|detector| (*detector, action)).collect();
    Arc::new(Detectors::new(&known, Vec::new()))
}

fn all(action: Action) -> Arc<Detectors> {
    use Detector::{Card, Email, Iban, Secrets, StackTrace};
    detectors(&[Card, Iban, Email, StackTrace, Secrets], action)
}

fn own(pattern: &str) -> Arc<Detectors> {
    let pattern = ("own".into(), Pattern::new(pattern).unwrap(), Action::Mask);
    Arc::new(Detectors::new(&[], vec![pattern]))
}

fn scan_pieces(detectors: &Arc<Detectors>, json: bool, pieces: &[&[u8]]) -> String {
    let mut scanner = Scanner::new(Arc::clone(detectors), json);
    let mut out = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        scanner.write(piece, at + 1 == pieces.len(), &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn scan(detectors: &Arc<Detectors>, text: &str) -> String {
    scan_pieces(detectors, false, &[text.as_bytes()])
}

fn scan_json(detectors: &Arc<Detectors>, text: &str) -> String {
    let masked = scan_pieces(detectors, true, &[text.as_bytes()]);
    assert_eq!(masked.len(), text.len());
    serde_json::from_str::<serde_json::Value>(&masked).unwrap_or_else(|error| panic!("{masked}: {error}"));
    masked
}

/// What is found, by name.
fn found(detectors: &Arc<Detectors>, text: &str) -> Vec<(String, u64)> {
    let mut scanner = Scanner::new(Arc::clone(detectors), false);
    scanner.write(text.as_bytes(), true, &mut Vec::new()).unwrap();
    let named = detectors.kinds().zip(scanner.found());
    named.filter(|(_, count)| **count > 0).map(|((name, _), count)| (name.to_owned(), *count)).collect()
}

/// A text with something of everything in it. Secrets are put together here so that scanners of sources do not find them.
pub(super) fn sample() -> String {
    format!(
        "pay 4111 1111 1111 1111, 378282246310005 or 5555-5555-5555-4444; to DE89 3704 0044 0532 0130 00\n\
         GB82WEST12345698765432 by alice.b@example.com, token {}, {} and {} {}\n\
         -----BEGIN RSA {}-----\nMIIEpAIBAAKCAQEA7\nq2ZP\n-----END RSA {}-----\nok\n\
         java.lang.IllegalStateException: no\n\tat com.example.Shop.sell(Shop.java:12)\n\tat com.example.Main.main(Main.java:3)\n\nbye",
        "ghp_".to_owned() + &"a1B2".repeat(9),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.".to_owned() + &"s".repeat(43),
        "AKIA".to_owned() + "IOSFODNN7EXAMPLE",
        "sk_live_".to_owned() + &"4eC39HqLyjWDarjtT1zdp7dc".repeat(8),
        "PRIVATE KEY",
        "PRIVATE KEY",
    )
}

const MASKED: &str = "pay **** **** **** 1111, ***********0005 or ****-****-****-4444; to DE** **** **** **** **30 00\n\
    GB****************5432 by a******@example.com, token ghp_************************************, eyJ";

#[test]
fn everything_is_found_and_masked_with_its_length() {
    let (text, detectors) = (sample(), all(Action::Mask));
    let masked = scan(&detectors, &text);
    assert!(masked.starts_with(MASKED), "{masked}");
    assert_eq!(masked.len(), text.len());
    assert!(!masked.contains("MIIE") && masked.contains("-----END RSA PRIVATE KEY-----\nok\n"), "{masked}");
    assert!(!masked.contains("com.example") && masked.ends_with("\n\nbye"), "{masked}");
    assert!(masked.contains(" AKIA**************** sk_live_*****"), "{masked}");
    assert_eq!(scan(&detectors, &masked), masked, "nothing is left to be found");
    let expected = [
        ("card", 3),
        ("iban", 2),
        ("email", 1),
        ("stack_trace", 1),
        ("private_key", 1),
        ("jwt", 1),
        ("aws", 1),
        ("github", 1),
        ("stripe", 1),
    ];
    assert_eq!(found(&detectors, &text), expected.map(|(name, count)| (name.to_owned(), count)));
}

#[test]
fn a_report_changes_nothing_and_a_block_ends_it() {
    let text = sample();
    assert_eq!(scan(&all(Action::Report), &text), text);
    let mut scanner = Scanner::new(all(Action::Block), false);
    let mut out = Vec::new();
    assert_eq!(scanner.write(text.as_bytes(), true, &mut out), Err(Blocked(0)));
    assert_eq!(out, b"pay ");
}

#[test]
fn what_is_found_does_not_depend_on_where_the_text_is_cut() {
    let (text, detectors) = (sample(), all(Action::Mask));
    let expected = scan(&detectors, &text);
    for at in 0..=text.len() {
        let (front, back) = text.as_bytes().split_at(at);
        assert_eq!(scan_pieces(&detectors, false, &[front, back]), expected, "cut at {at}");
        assert_eq!(scan_pieces(&detectors, false, &[front, b"", back, b""]), expected, "cut at {at}");
    }
    for size in [1, 2, 3, 7, 16, 61, 333] {
        let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
        assert_eq!(scan_pieces(&detectors, false, &pieces), expected, "pieces of {size}");
    }
}

#[test]
fn what_is_before_a_line_end_does_not_wait() {
    let mut scanner = Scanner::new(all(Action::Mask), false);
    let mut out = Vec::new();
    scanner.write(b"data: 4111111111111111\n\ndata: 41111", false, &mut out).unwrap();
    assert_eq!(out, b"data: ************1111\n\n");
    scanner.write(b"11111111111\n", false, &mut out).unwrap();
    assert_eq!(out, b"data: ************1111\n\ndata: ************1111\n");
}

#[test]
fn cards_of_every_issuer_are_found() {
    let detectors = detectors(&[Detector::Card], Action::Mask);
    for card in [
        "4111111111111111",
        "4222222222222",
        "4000000000000000006",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "6200000000000005",
        "6304000000000000",
        "2200000000000053",
        "6759649826438453",
        "3782 822463 10005",
        "3056 930902 5904",
        "4000 0000 0000 0000 006",
        "5105-1051-0510-5100",
    ] {
        for (before, after) in
            [("", ""), ("card:", "."), ("\"", "\""), ("(", ")"), (" ", " 12/26 123"), ("\\n", "\\n")]
        {
            let masked = scan(&detectors, &format!("{before}{card}{after}"));
            let digits: String =
                masked[before.len()..][..card.len()].chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits.len(), 4, "{masked}");
        }
    }
}

#[test]
fn other_numbers_are_no_cards() {
    let detectors = detectors(&[Detector::Card], Action::Mask);
    for text in [
        "4111111111111112", // the check digit
        "1111111111111117", // nobody's range
        "9999999999999995",
        "x4111111111111111",
        "4111111111111111x",
        "_4111111111111111",
        "14111111111111111111111",
        "0.4111111111111111",
        "4111111111111111.5",
        "2024-4111111111111111",
        "4111111111111111-01",
        "+4111111111111111",
        "41111111-1111-4111-1111-411111111111", // a UUID
        "1700000000000 1700000000000000000",
        "9780306406157",
        "1234 4111 1111 1111 1111",
        "4111 1111 1111 1111 1234",
        "4111 1111-1111 1111",
        "411111 1111111111",
        "41 11 11 11 11 11 11 11",
        "4111  1111  1111  1111",
    ] {
        assert_eq!(scan(&detectors, text), text);
    }
}

#[test]
fn chance_seldom_makes_a_card() {
    // Of random numbers with 16 digits, one in ten passes the check, and of these less than half are of somebody's range.
    let detectors = detectors(&[Detector::Card, Detector::Iban, Detector::Secrets], Action::Mask);
    let mut random = fastrand::Rng::with_seed(7);
    let ids: Vec<String> = (0..2000).map(|_| format!("{:032x}", random.u128(..))).collect();
    assert!(found(&detectors, &ids.join("\n")).is_empty());
    let times: Vec<String> =
        (0..2000).map(|_| format!("{}", 1_600_000_000_000_u64 + random.u64(..400_000_000_000))).collect();
    assert!(found(&detectors, &times.join(",")).is_empty());
}

#[test]
fn ibans_are_checked_by_country_length_and_digits() {
    let detectors = detectors(&[Detector::Iban], Action::Mask);
    for iban in [
        "DE89370400440532013000",
        "NO9386011117947",
        "GB82 WEST 1234 5698 7654 32",
        "FR1420041010050500013M02606",
        "MT84MALT011000012345MTLCAST001S",
        "LC55HEMM000100010012001200023015",
    ] {
        let masked = scan(&detectors, &format!("to {iban}, please"));
        assert_eq!(masked.matches('*').count(), iban.chars().filter(|c| *c != ' ').count() - 6, "{masked}");
    }
    for text in [
        "DE89370400440532013001",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "XDE89370400440532013000",
        "ZZ89370400440532013000",
        "DE89 37040044 0532013000",
        "de89370400440532013000",
    ] {
        assert_eq!(scan(&detectors, text), text);
    }
}

#[test]
fn addresses_keep_their_first_letter() {
    let detectors = detectors(&[Detector::Email], Action::Mask);
    for (text, expected) in [
        ("alice@example.com", "a****@example.com"),
        ("<a.b+c@sub.example.co.uk>.", "<a****@sub.example.co.uk>."),
        ("\\nbob@example.com", "\\nb**@example.com"),
        ("x@example.org", "*@example.org"),
        ("@example.com", "@example.com"),
        ("icon@2x.png", "icon@2x.png"),
        ("a@b", "a@b"),
        ("a@example.123", "a@example.123"),
        ("npm i @scope/pkg@1.2.3", "npm i @scope/pkg@1.2.3"),
    ] {
        assert_eq!(scan(&detectors, text), expected);
    }
}

#[test]
fn tokens_are_found_by_their_forms() {
    let detectors = detectors(&[Detector::Secrets], Action::Mask);
    let (letters, hex) = ("aB3dE5gH7j".repeat(20), "0a1b2c3d4e".repeat(20));
    for (kind, prefix, length, text) in [
        ("aws", "ASIA", 16, "Q2W3E4R5T6Y7U2I3O4"),
        ("google", "AIza", 35, &letters),
        ("google", "GOCSPX-", 28, &letters),
        ("github", "ghs_", 36, &letters),
        ("github", "github_pat_", 82, &letters),
        ("gitlab", "glpat-", 20, &letters),
        ("gitlab", "glpat-", 50, &letters),
        ("slack", "xoxb-", 50, &letters),
        ("slack", "hooks.slack.com/services/", 44, &letters),
        ("stripe", "rk_live_", 24, &letters),
        ("npm", "npm_", 36, &letters),
        ("pypi", "pypi-AgE", 110, &letters),
        ("openai", "sk-proj-", 120, &letters),
        ("anthropic", "sk-ant-", 95, &letters),
        ("huggingface", "hf_", 34, &letters),
        ("sendgrid", "SG.", 66, &letters),
        ("digitalocean", "dop_v1_", 64, &hex),
        ("vault", "hvs.", 90, &letters),
        ("shopify", "shpat_", 32, &hex),
        ("databricks", "dapi", 32, &hex),
        ("azure", "AccountKey=", 86, &letters),
        ("edgeward", "ew_k3v9x0q2ab_", 38, &letters),
    ] {
        let token = format!("{prefix}{}", &text[..length.min(text.len())]);
        let masked = scan(&detectors, &format!("{{\"token\": \"{token}\"}}"));
        assert_eq!(found(&detectors, &token), [(kind.to_owned(), 1)], "{token}");
        let stars = masked.matches('*').count();
        assert!(masked.contains(prefix) && stars >= length.min(text.len()) - 2, "{masked}");
        assert!(found(&detectors, &format!("x{token}")).is_empty(), "{token}");
    }
    let azure = format!("abc8Q~{}", &letters[..34]);
    assert_eq!(found(&detectors, &azure), [("azure".to_owned(), 1)]);
    let named = format!("\"SecretAccessKey\": \"{}\"", &letters[..40]);
    assert_eq!(scan(&detectors, &named), format!("\"SecretAccessKey\": \"{}\"", "*".repeat(40)));
    for text in
        ["npm_config_registry", "eyJhIjoxfQ", "ghp_short", "sk_live_", "-----BEGIN CERTIFICATE-----\nMIID"]
    {
        assert_eq!(scan(&detectors, text), text);
    }
}

#[test]
fn keys_in_json_strings_are_masked_whole() {
    let detectors = detectors(&[Detector::PrivateKey], Action::Mask);
    let key = format!("-----BEGIN {0}-----\\nMIIEvQ\\nIBADAN\\n-----END {0}-----\\n", "PRIVATE KEY");
    let masked = scan_json(&detectors, &format!("{{\"private_key\": \"{key}\", \"type\": \"a\"}}"));
    assert!(
        masked.contains("\\n******\\n******\\n-----END") && masked.ends_with("\"type\": \"a\"}"),
        "{masked}"
    );
}

#[test]
fn traces_of_every_language_are_found() {
    let detectors = detectors(&[Detector::StackTrace], Action::Mask);
    for text in [
        "\tat com.example.Shop.sell(Shop.java:12)",
        "    at sell (/app/shop.js:12:3)",
        "    at file:///app/shop.mjs:12:3",
        "Traceback (most recent call last):\n  File \"/app/shop.py\", line 12, in sell",
        "   at Shop.Sell(Int32 id) in C:\\src\\Shop.cs:line 12",
        "#0 /var/www/shop.php(12): sell()",
        "/app/shop.rb:12:in 'sell'",
        "goroutine 1 [running]:\nmain.main()\n\t/src/shop.go:12 +0x1d",
        "thread 'main' panicked at src/shop.rs:12:3:",
        "             at ./src/shop.rs:12:3",
    ] {
        let masked = scan(&detectors, &format!("error:\n{text}\n\nbye"));
        assert!(masked.contains("***") && !masked.contains("shop") && masked.ends_with("\nbye"), "{masked}");
    }
    let json = "{\"error\":{\"stack\":\"TypeError: x\\n    at a (/app/a.js:1:2)\\n    at b (/app/b.js:3:4)\",\"id\":7}}";
    let masked = scan_json(&detectors, json);
    assert!(
        masked.contains("TypeError: x\\n") && !masked.contains("app") && masked.ends_with("\"id\":7}}"),
        "{masked}"
    );
    for text in
        ["see app.js:12", "it was at 10:30 in shop.java", "https://example.com/app.js:443", "goroutine pools"]
    {
        assert_eq!(scan(&detectors, text), text);
    }
}

#[test]
fn json_stays_json() {
    let cards = detectors(&[Detector::Card], Action::Mask);
    for (text, expected) in [
        (r#"{"pan":"4111111111111111"}"#, r#"{"pan":"************1111"}"#),
        (
            r#"{"a":"pay 4111 1111 1111 1111, or 4111111111111111"}"#,
            r#"{"a":"pay **** **** **** 1111, or ************1111"}"#,
        ),
        ("{\n  \"pan\": 4111111111111111\n}", "{\n  \"pan\": 1000000000001111\n}"),
        (
            r#"{"pan":                         4111111111111111}"#,
            r#"{"pan":                         1000000000001111}"#,
        ),
        (r#"{"pan":4111111111111111}"#, r#"{"pan":1000000000001111}"#),
        ("[4111111111111111 , 1]", "[1000000000001111 , 1]"),
        ("4111111111111111", "1000000000001111"),
        (r#"["-4111111111111111"]"#, r#"["-************1111"]"#),
    ] {
        assert_eq!(scan_json(&cards, text), expected);
    }
    for (pattern, text, expected) in [
        ("true|[0-9.]{3,9}|[a-z\"]{4}", r#"{"abc":true,"d":-12.5e3}"#, r#"{"***":true,"d":-10.0e3}"#),
        ("[^x]{20}", r#"{"a\u00e9\n":"bc\"de fgh"}"#, r#"{"*\u00e9\n":"**\"** fgh"}"#),
        ("\u{e9}{2}", "\"\u{e9}\u{e9}\u{e9}\"", "\"****\u{e9}\""),
        ("\"n\":null", "{\"n\":null}", "{\"*\":null}"),
    ] {
        assert_eq!(scan_json(&own(pattern), text), expected);
    }
}

#[test]
fn own_patterns_are_bounded_and_stay_within_lines() {
    assert_eq!(scan(&own("ACC-[0-9]{10}"), "a ACC-0123456789 b"), "a ***-********** b");
    assert_eq!(scan(&own(r"\bid[^x]{1,9}"), "bid id\n12\nid 34"), "bid id\n12\n** **");
    for (text, expected) in [
        ("a+", NotAPattern::Unbounded),
        ("a{257}", NotAPattern::Unbounded),
        ("a*", NotAPattern::Empty),
        ("a{0,3}", NotAPattern::Empty),
        ("^abc", NotAPattern::Anchor),
        (r"abc\z", NotAPattern::Anchor),
        ("a\\nb", NotAPattern::LineEnd),
        ("[\\n]b", NotAPattern::LineEnd),
        (r"(\pL{4}){50}", NotAPattern::Unbounded),
    ] {
        assert_eq!(Pattern::new(text).unwrap_err(), expected, "{text}");
    }
    assert!(matches!(Pattern::new("(a"), Err(NotAPattern::Syntax(_))));
}

#[test]
fn the_first_of_two_findings_counts() {
    let patterns = ["card [0-9]{16}", "[0-9]{4} b"].map(|text| Pattern::new(text).unwrap());
    let [first, second] = patterns.map(|pattern| ("own".into(), pattern, Action::Mask));
    let both = Arc::new(Detectors::new(&[(Detector::Card, Action::Mask)], vec![first, second]));
    assert_eq!(scan(&both, "card 4111111111111111 b"), "**** **************** b");
}
