//! The functions of the language, named and meant as at Cloudflare, with [`exists`](Function::Exists) on top.

/// A function that expressions may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Any,
    All,
    Cidr,
    Concat,
    EndsWith,
    Exists,
    HasKey,
    HasValue,
    Join,
    Len,
    Lower,
    RemoveQueryArgs,
    Split,
    StartsWith,
    Substring,
    ToString,
    Upper,
    UrlDecode,
}

/// How a function is called and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    pub(super) function: Function,
    /// By what it is called.
    pub name: &'static str,
    /// Its parameters and its result, for the reference and for messages.
    pub usage: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
}

impl Signature {
    const fn new(function: Function, name: &'static str, usage: &'static str, doc: &'static str) -> Self {
        Self { function, name, usage, doc }
    }
}

pub(super) fn find(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|signature| signature.name == name)
}

/// All functions, by name.
pub const FUNCTIONS: [Signature; 18] = [
    Signature::new(
        Function::All,
        "all",
        "all(condition on ARRAY[*]): Boolean",
        "Whether the condition holds for each element of the array that is unpacked in it with `[*]`; it does for an empty array.",
    ),
    Signature::new(
        Function::Any,
        "any",
        "any(condition on ARRAY[*]): Boolean",
        "Whether the condition holds for at least one element of the array that is unpacked in it with `[*]`.",
    ),
    Signature::new(
        Function::Cidr,
        "cidr",
        "cidr(IP address, IPv4 bits, IPv6 bits): IP address",
        "The network that the address is in, cut to 1 to 32 bits if it is IPv4 and 1 to 128 bits if it is IPv6.",
    ),
    Signature::new(
        Function::Concat,
        "concat",
        "concat(value, value, …): String",
        "All values, written as `to_string` does, one behind the other. Missing if longer than 64 KiB.",
    ),
    Signature::new(
        Function::EndsWith,
        "ends_with",
        "ends_with(String, String): Boolean",
        "Whether the first string ends with the second.",
    ),
    Signature::new(
        Function::Exists,
        "exists",
        "exists(field): Boolean",
        "Whether the field, entry or array is there. Never missing itself; a JSON `null` is not there.",
    ),
    Signature::new(
        Function::HasKey,
        "has_key",
        "has_key(Map, \"key\"): Boolean",
        "Whether the map has an entry of this key: `exists(MAP[\"key\"])`.",
    ),
    Signature::new(
        Function::HasValue,
        "has_value",
        "has_value(Map or Array, value): Boolean",
        "Whether the value is among the values of the map or array.",
    ),
    Signature::new(
        Function::Join,
        "join",
        "join(Array, \"separator\"): String",
        "The elements, written as `to_string` does, with the separator between them. Missing if longer than 64 KiB.",
    ),
    Signature::new(
        Function::Len,
        "len",
        "len(String or Array): Integer",
        "The bytes of a string, or the elements of an array.",
    ),
    Signature::new(
        Function::Lower,
        "lower",
        "lower(String): String",
        "The string with ASCII capital letters made small.",
    ),
    Signature::new(
        Function::RemoveQueryArgs,
        "remove_query_args",
        "remove_query_args(String, \"name\", …): String",
        "The query string without the parameters of these names, the others in their order.",
    ),
    Signature::new(
        Function::Split,
        "split",
        "split(String, \"separator\", limit): Array<String>",
        "The parts of the string between the separators, at most 1 to 128 of them; the last one holds all that is left.",
    ),
    Signature::new(
        Function::StartsWith,
        "starts_with",
        "starts_with(String, String): Boolean",
        "Whether the first string starts with the second.",
    ),
    Signature::new(
        Function::Substring,
        "substring",
        "substring(String, start, [end]): String",
        "The bytes from the start up to the end, which is not included. Counted from 0, or from the end of the string if negative.",
    ),
    Signature::new(
        Function::ToString,
        "to_string",
        "to_string(value): String",
        "The number in decimal, the address in its usual form, `true` or `false`, the string as it is.",
    ),
    Signature::new(
        Function::Upper,
        "upper",
        "upper(String): String",
        "The string with ASCII small letters made capitals.",
    ),
    Signature::new(
        Function::UrlDecode,
        "url_decode",
        "url_decode(String): String",
        "The string with `%XX` and `+` decoded, once. What is no valid escape stays as it is.",
    ),
];
