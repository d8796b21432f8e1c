use super::*;

fn parse(text: &str) -> Result<ListenAddress, AddressError> {
    text.parse()
}

#[test]
fn gives_back_what_was_written() {
    for text in ["0.0.0.0:443", "[::]:443", "127.0.0.1:9901", "[fe80::1%3]:80", "unix:/run/edgeward/api.sock"]
    {
        assert_eq!(parse(text).unwrap().to_string(), text);
        let json = serde_json::to_string(&parse(text).unwrap()).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<ListenAddress>(&json).unwrap(), parse(text).unwrap());
    }
}

#[test]
fn refuses_what_cannot_be_bound() {
    assert_eq!(parse("127.0.0.1:0"), Err(AddressError::NoPort));
    assert_eq!(parse("unix:run/a.sock"), Err(AddressError::Relative("run/a.sock".into())));
    assert_eq!(parse("unix:/run/"), Err(AddressError::Relative("/run/".into())));
    assert_eq!(parse("unix:@a"), Err(AddressError::Abstract));
    assert_eq!(parse("unix:/a\0b"), Err(AddressError::Nul));
    assert_eq!(parse("[::ffff:10.0.0.1]:80"), Err(AddressError::Mapped("10.0.0.1:80".parse().unwrap())));
    for text in ["", "10.0.0.1", "example.com:80", "10.0.0.1:65536", "10.0.0.1:80 "] {
        assert_eq!(parse(text), Err(AddressError::Unreadable(text.into())));
    }
}

#[test]
fn takes_the_longest_path_the_kernel_takes_and_no_longer_one() {
    let longest = format!("/{}", "a".repeat(UNIX_PATH_MAX_BYTES - 1));
    assert!(parse(&format!("unix:{longest}")).is_ok());
    assert_eq!(parse(&format!("unix:{longest}a")), Err(AddressError::TooLong(UNIX_PATH_MAX_BYTES + 1)));
}

#[test]
fn guesses_what_was_meant() {
    for (text, meant) in [
        ("8080", "0.0.0.0:8080"),
        (":8080", "0.0.0.0:8080"),
        ("*:80", "0.0.0.0:80"),
        ("localhost:80", "127.0.0.1:80"),
        (":::443", "[::]:443"),
        ("2001:db8::1:443", "[2001:db8::1]:443"),
    ] {
        assert_eq!(parse(text), Err(AddressError::Meant(meant.into())), "{text}");
    }
}

#[test]
fn a_wrong_address_is_a_serde_error_that_says_why() {
    let error = serde_json::from_str::<ListenAddress>("\":80\"").unwrap_err().to_string();
    assert!(error.starts_with("expected an IP address with a port; did you mean `0.0.0.0:80`?"), "{error}");
}

#[test]
fn only_an_any_address_overlaps_another_of_its_family_and_port() {
    let overlap = |one: &str, two: &str| parse(one).unwrap().overlaps(&parse(two).unwrap());
    assert!(overlap("0.0.0.0:80", "127.0.0.1:80"));
    assert!(overlap("[::1]:80", "[::]:80"));
    assert!(!overlap("0.0.0.0:80", "0.0.0.0:80"));
    assert!(!overlap("0.0.0.0:80", "127.0.0.1:81"));
    assert!(!overlap("0.0.0.0:80", "[::]:80"));
    assert!(!overlap("127.0.0.1:80", "127.0.0.2:80"));
    assert!(!overlap("0.0.0.0:80", "unix:/run/a.sock"));
}
