use super::*;

const fn written(value: &[u8], quoted: bool) -> Parameter<'_> {
    Parameter { value, quoted, spaced: false }
}

#[test]
fn reads_media_type_and_boundary() {
    let read = ContentType::parse(b" Text/HTML ; Charset=\"UTF-8\";x=y ; ");
    assert!(read.is("text/html") && !read.is("text/plain"));
    assert_eq!((read.media_type, read.defect), (&b"Text/HTML"[..], None));
    let read = ContentType::parse(b"multipart/form-data; charset=utf-8; boundary=----Web(Kit)1+/");
    assert_eq!(read.boundary, Some(written(b"----Web(Kit)1+/", false)));
    let read = ContentType::parse(b"multipart/form-data; boundary=\"a;b, c\"");
    assert_eq!((read.boundary, read.defect), (Some(written(b"a;b, c", true)), None));
    let read = ContentType::parse(b"multipart/form-data boundary = x");
    assert!(read.missing_semicolon && read.defect.is_none());
    assert_eq!(read.boundary, Some(Parameter { value: b"x", quoted: false, spaced: true }));
}

#[test]
fn tells_what_others_may_read_differently() {
    use Defect::{Extended, MediaType, Parameter, Repeated, SeveralTypes};
    for (value, defect) in [
        ("", Some(MediaType)),
        ("text", Some(MediaType)),
        ("text/", Some(MediaType)),
        ("a/b/c", Some(MediaType)),
        ("text/x\u{b}", Some(MediaType)),
        ("text/plain", None),
        ("text/plain, application/json", Some(SeveralTypes)),
        ("text/plain;charset=utf-8, application/json", Some(SeveralTypes)),
        ("text/plain;charset=\"utf-8\", application/json", Some(SeveralTypes)),
        ("text/plain; x, y", Some(SeveralTypes)),
        ("text/plain; boundary=a,b", Some(SeveralTypes)),
        ("text/plain; charset", Some(Parameter)),
        ("text/plain; charset=", Some(Parameter)),
        ("text/plain; charset=\"utf-8", Some(Parameter)),
        ("text/plain; charset=\"u\\tf-8\"", Some(Parameter)),
        ("text/plain; charset=\"utf-8\"x", Some(Parameter)),
        ("text/plain; charset=utf\"8", Some(Parameter)),
        ("text/plain; boundary=a\"b", Some(Parameter)),
        ("text/plain; a b=c", Some(Parameter)),
        ("text/plain; x=y; =z", Some(Parameter)),
        ("text/plain;; x=y", Some(Parameter)),
        ("text/plain; charset=a; charset=a", Some(Repeated)),
        ("text/plain; boundary=a; x=1; x=2; Boundary=b", Some(Repeated)),
        ("text/plain; charset*=utf-8''x", Some(Extended)),
        ("text/plain; boundary*0=a; boundary*1=b", Some(Extended)),
        ("text/plain; x*=utf-8''x; y=\"\"", None),
    ] {
        assert_eq!(ContentType::parse(value.as_bytes()).defect, defect, "{value}");
    }
}

#[test]
fn chooses_a_parser_by_media_type() {
    for (value, processor) in [
        ("application/x-www-form-urlencoded", Some(Processor::UrlEncoded)),
        ("APPLICATION/X-WWW-FORM-URLENCODED;charset=utf-8", Some(Processor::UrlEncoded)),
        ("multipart/form-data; boundary=x", Some(Processor::Multipart)),
        ("multipart/form-data,x", Some(Processor::Multipart)),
        ("multipart/mixed; boundary=x", None),
        ("application/json", Some(Processor::Json)),
        ("text/json", Some(Processor::Json)),
        ("application/vnd.api+JSON;v=1", Some(Processor::Json)),
        ("application/jsonx", None),
        ("text/xml", Some(Processor::Xml)),
        ("application/soap+xml; action=x", Some(Processor::Xml)),
        ("application/graphql", Some(Processor::GraphQl)),
        ("text/plain", None),
        ("+xml", Some(Processor::Xml)),
        ("xml", None),
    ] {
        assert_eq!(ContentType::parse(value.as_bytes()).processor(), processor, "{value}");
    }
}

#[test]
fn knows_byte_order_marks() {
    for (body, mark) in [
        (&b"\xef\xbb\xbf{}"[..], Some(ByteOrderMark::Utf8)),
        (b"\xfe\xff\0{", Some(ByteOrderMark::Utf16)),
        (b"\xff\xfe{\0", Some(ByteOrderMark::Utf16)),
        (b"\xff\xfe\0\0", Some(ByteOrderMark::Utf32)),
        (b"\0\0\xfe\xff", Some(ByteOrderMark::Utf32)),
        (b"{}", None),
        (b"\xef\xbb", None),
        (b"", None),
    ] {
        assert_eq!(byte_order_mark(body), mark);
    }
}
