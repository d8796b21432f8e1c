//! Who may come in: the lines of an htpasswd file or of the policy, checked.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use super::hash::Hash;
use crate::values::Problem;
use crate::values::text::quoted;

/// Longest user name, in bytes.
const LONGEST_NAME: usize = 255;

/// A user who may come in.
pub struct User {
    /// The name as a header value, for the upstream.
    pub name: HeaderValue,
    /// What their password has to match. Shared, because checks outlive requests that are given up.
    pub hash: Arc<Hash>,
}

/// All users, at least one.
pub struct Users {
    places: HashMap<Box<str>, usize>,
    all: Vec<User>,
    first: Arc<Hash>,
}

impl Users {
    /// Reads lines written in the policy. Problems are told at `users[…]`.
    pub fn from_lines(lines: &[String]) -> Result<Self, Problem> {
        let lines = lines.iter().enumerate();
        Self::collect(lines.map(|(index, line)| (format!("users[{index}]"), line.as_str())))
            .map_err(|(at, message)| Problem::new(at.unwrap_or_else(|| "users".into()), message))
    }

    /// Reads an htpasswd file. Problems are told at `users_file`, with file and line.
    pub fn from_file(path: &Path) -> Result<Self, Problem> {
        let problem = |message: String| Problem::new("users_file", message);
        let text = fs::read_to_string(path)
            .map_err(|error| problem(format!("cannot read {}: {error}", path.display())))?;
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        Self::collect(lines.map(|(number, line)| (format!("{}:{number}", path.display()), line))).map_err(
            |(place, message)| {
                problem(format!("{}: {message}", place.unwrap_or_else(|| path.display().to_string())))
            },
        )
    }

    /// Takes lines with the place each stands at; a failure comes with the place, if it is about one line.
    fn collect<'l>(lines: impl Iterator<Item = (String, &'l str)>) -> Result<Self, (Option<String>, String)> {
        let mut places = HashMap::new();
        let mut all = Vec::new();
        for (place, line) in lines {
            let (name, user) = parse(line).map_err(|message| (Some(place.clone()), message))?;
            if places.insert(name.into(), all.len()).is_some() {
                return Err((Some(place), format!("user {} is listed twice", quoted(name))));
            }
            all.push(user);
        }
        let first = all.first().map(|user| Arc::clone(&user.hash));
        let first = first.ok_or_else(|| (None, "no users: nobody could come in".to_owned()))?;
        Ok(Self { places, all, first })
    }

    /// The user of that name.
    pub fn find(&self, name: &str) -> Option<&User> {
        self.places.get(name).and_then(|place| self.all.get(*place))
    }

    /// A hash to check the password of an unknown user against, so that the time it takes tells nobody which names
    /// exist. The same `seed` picks the same one.
    pub fn decoy(&self, seed: usize) -> &Arc<Hash> {
        let place = seed.checked_rem(self.all.len());
        place.and_then(|place| self.all.get(place)).map_or(&self.first, |user| &user.hash)
    }
}

/// Reads `name:hash`. Messages repeat the name at most.
fn parse(line: &str) -> Result<(&str, User), String> {
    let (name, hash) =
        line.trim().split_once(':').ok_or("expected a line of htpasswd, name:hash, and found no colon")?;
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "expected a name of 1 to {LONGEST_NAME} bytes before the colon, without control characters"
        ));
    }
    let hash = Hash::parse(hash).map_err(|message| format!("user {}: {message}", quoted(name)))?;
    let name_value = HeaderValue::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
    Ok((name, User { name: name_value, hash: Arc::new(hash) }))
}
