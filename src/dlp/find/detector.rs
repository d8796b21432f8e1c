//! What can be looked for, by the names that policies, metrics and logs have for it.

use schemars::JsonSchema;
use serde::Deserialize;

macro_rules! detectors {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Something that is recognised by its form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Detector {
            $($(#[$doc])* $name,)+
        }

        impl Detector {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As policies, metrics and logs name it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

detectors! {
    /// Numbers of payment cards: by issuer, length and check digit.
    Card = "card",
    /// International bank account numbers: by country, length and check digits.
    Iban = "iban",
    /// Email addresses.
    Email = "email",
    /// Stack traces of Java, JavaScript, Python, .NET, PHP, Ruby, Go and Rust, from the first frame to the end of the text.
    StackTrace = "stack_trace",
    /// Everything that follows here.
    Secrets = "secrets",
    /// Private keys in PEM.
    PrivateKey = "private_key",
    /// JSON Web Tokens.
    Jwt = "jwt",
    /// AWS access keys.
    Aws = "aws",
    /// Google API keys, OAuth secrets and tokens.
    Google = "google",
    /// Azure storage and bus keys, client secrets.
    Azure = "azure",
    /// GitHub tokens.
    Github = "github",
    /// GitLab tokens.
    Gitlab = "gitlab",
    /// Slack tokens and webhooks.
    Slack = "slack",
    /// Stripe keys.
    Stripe = "stripe",
    /// npm tokens.
    Npm = "npm",
    /// Tokens of the Python Package Index.
    Pypi = "pypi",
    /// `OpenAI` keys.
    Openai = "openai",
    /// Anthropic keys.
    Anthropic = "anthropic",
    /// Hugging Face tokens.
    Huggingface = "huggingface",
    /// `SendGrid` keys.
    Sendgrid = "sendgrid",
    /// `DigitalOcean` tokens.
    Digitalocean = "digitalocean",
    /// Vault tokens.
    Vault = "vault",
    /// Shopify tokens.
    Shopify = "shopify",
    /// Square tokens.
    Square = "square",
    /// Databricks tokens.
    Databricks = "databricks",
    /// Grafana tokens.
    Grafana = "grafana",
    /// Docker Hub tokens.
    Docker = "docker",
    /// Atlassian tokens.
    Atlassian = "atlassian",
    /// Edgeward's own API keys.
    Edgeward = "edgeward",
}

impl Detector {
    /// What it stands for: itself, or the members of a group.
    #[must_use]
    pub fn members(self) -> &'static [Self] {
        let at = Self::ALL.iter().position(|other| *other == self).unwrap_or_default();
        match self {
            Self::Secrets => Self::ALL.get(at + 1..).unwrap_or_default(),
            _ => Self::ALL.get(at..=at).unwrap_or_default(),
        }
    }
}
