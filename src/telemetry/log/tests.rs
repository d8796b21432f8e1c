use serde_json::{Value, json};

use super::*;

/// 2026-01-02T03:04:05.678Z
const NOW_MS: u64 = 1_767_323_045_678;

fn core(format: Format) -> Core {
    Core::new(Filter::default(), format)
}

fn line(format: Format, level: Level, message: fmt::Arguments<'_>, fields: &dyn kv::Source) -> String {
    let record =
        Record::builder().level(level).target("edgeward::tls").args(message).key_values(fields).build();
    let mut out = Vec::new();
    assert!(core(format).render(&record, NOW_MS, &mut out));
    String::from_utf8(out).expect("lines are UTF-8")
}

#[test]
fn prints_a_record_as_one_json_object() {
    let fields = [
        ("address", kv::Value::from("0.0.0.0:443")),
        ("count", kv::Value::from(3_u64)),
        ("delta", kv::Value::from(-3_i64)),
        ("share", kv::Value::from(0.5)),
        ("no", kv::Value::from(f64::NAN)),
        ("ok", kv::Value::from(true)),
        ("network", kv::Value::from_display(&std::net::Ipv4Addr::LOCALHOST)),
    ];
    assert_eq!(
        line(Format::Json, Level::Info, format_args!("listening on {}", 443), &fields),
        concat!(
            r#"{"time":"2026-01-02T03:04:05.678Z","level":"info","target":"edgeward::tls","message":"listening on 443","#,
            r#""address":"0.0.0.0:443","count":3,"delta":-3,"share":0.5,"no":null,"ok":true,"network":"127.0.0.1"}"#
        )
    );
}

#[test]
fn prints_a_short_line_for_people() {
    let fields = [("address", kv::Value::from("a b")), ("count", kv::Value::from(3_u64))];
    assert_eq!(
        line(Format::Human, Level::Warn, format_args!("slow"), &fields),
        r#"03:04:05.678 WARN  edgeward::tls: slow address="a b" count=3"#
    );
}

#[test]
fn lets_nothing_in_a_record_end_its_line_or_drive_a_terminal() {
    let hostile = "a\nb\r\u{1b}[2J\u{9b}\"";
    for format in [Format::Json, Format::Human] {
        let fields = [(hostile, kv::Value::from(hostile)), ("any", kv::Value::from_display(&hostile))];
        let text = line(format, Level::Error, format_args!("{hostile}"), &fields);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains(r"\u001b[2J"), "{text:?}");
    }
}

#[test]
fn keeps_its_own_keys_from_a_records_fields() {
    let fields = [("level", kv::Value::from("fake")), ("message", kv::Value::from(1_u64))];
    let text = line(Format::Json, Level::Error, format_args!("real"), &fields);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["level"], "error");
    assert_eq!(value["message"], "real");
    assert_eq!((&value["level_"], &value["message_"]), (&json!("fake"), &json!(1)));
}

#[test]
fn bounds_messages_values_and_the_number_of_fields() {
    let long = "x".repeat(3 * TEXT_LIMIT_BYTES);
    let names: Vec<String> = (0..2 * FIELDS_LIMIT).map(|number| format!("field{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), kv::Value::from_display(&long))).collect();
    let text = line(Format::Json, Level::Error, format_args!("{long}"), &fields);
    let value: Value = serde_json::from_str(&text).unwrap();
    let cut = format!("{}…", "x".repeat(TEXT_LIMIT_BYTES));
    assert_eq!(value["message"], json!(cut));
    assert_eq!(value["field0"], json!(cut));
    assert_eq!(value.as_object().unwrap().len(), 4 + FIELDS_LIMIT);
}

#[test]
fn says_how_many_repetitions_it_held_back() {
    let core = core(Format::Json);
    let render = |now_ms| {
        let mut out = Vec::new();
        let printed = core.render(&Record::builder().args(format_args!("again")).build(), now_ms, &mut out);
        printed.then(|| String::from_utf8(out).unwrap())
    };
    assert!(render(NOW_MS).is_some_and(|line| !line.contains("suppressed")));
    assert_eq!((render(NOW_MS), render(NOW_MS + 999)), (None, None));
    assert!(render(NOW_MS + 1000).is_some_and(|line| line.ends_with(r#","suppressed":2}"#)));
}

#[test]
fn sums_up_repetitions_that_ended() {
    let core = core(Format::Human);
    let mut out = Vec::new();
    for _ in 0..4 {
        core.render(&Record::builder().args(format_args!("again")).build(), NOW_MS, &mut Vec::new());
    }
    assert!(core.render_forgotten(NOW_MS + 5000, &mut out));
    let expected =
        "03:04:10.678 WARN  edgeward::telemetry::log: repeated messages were held back suppressed=3";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert!(!core.render_forgotten(NOW_MS + 9000, &mut Vec::new()), "nothing is left to tell");
}

#[test]
fn writes_lines_that_pass_the_filter_to_its_destination() {
    use log::Log as _;
    let path = std::env::temp_dir().join(format!("edgeward-log-{}", std::process::id()));
    let writer = LineWriter::open(&writer::Settings::new(Destination::File(path.clone()))).unwrap();
    let logger = Logger { core: core(Format::Json), writer: Arc::new(writer) };
    let record = |level, message| {
        logger.log(&Record::builder().level(level).target("t").args(message).build());
    };
    record(Level::Debug, format_args!("quiet"));
    record(Level::Error, format_args!("loud"));
    logger.flush();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(text.ends_with("\"message\":\"loud\"}\n") && !text.contains("quiet"), "{text}");
}
