//! Names of secrets: in code, in keys of JSON, in environment variables, in headers, in sentences.

/// What wakes the reading of an assignment. A stem may be a part of a name, which is then read as a whole.
pub(super) const STEMS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "auth",
    "contrase",
    "senha",
    "kennwort",
    "clave",
    "wachtwoord",
    "parola",
    "heslo",
    "haslo",
    "hasło",
    "lösenord",
    "şifre",
    "sifre",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "mot de passe",
    "jwt",
    "dsn",
    "cookie",
    "session",
    "signature",
    "lozinka",
    "salasana",
    "sid",
    "otp",
    "पासवर्ड",
    "كلمة المرور",
];

/// How much a name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redact) enum Strength {
    /// Also other things are called so: a `key`, a `session`. The value must look drawn at random.
    Weak,
    /// A `token`, also a piece of text to a language model. The value must not look like a word.
    Token,
    /// A `password`, whatever it is.
    Strong,
}

const STRONG: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passwort",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "apikey",
    "apikeys",
    "secretkey",
    "privatekey",
    "accesskey",
    "clientsecret",
    "accountkey",
    "sharedaccesskey",
    "authkey",
    "contraseña",
    "contrasena",
    "senha",
    "kennwort",
    "motdepasse",
    "wachtwoord",
    "heslo",
    "haslo",
    "hasło",
    "lösenord",
    "şifre",
    "sifre",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "mot de passe",
    "userpass",
    "dbpass",
    "dbpassword",
    "lozinka",
    "salasana",
    "secretaccesskey",
    "encryptionkey",
    "پسورد",
    "पासवर्ड",
    "كلمة المرور",
    "pgpassword",
    "apisecret",
    "appsecret",
    "requirepass",
    "masterkey",
];
const TOKENS: &[&str] = &[
    "token",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "bearertoken",
    "apitoken",
    "authorization",
    "credential",
    "tokens",
    "credentials",
    "creds",
    "sessiontoken",
    "jwt",
    "auth",
    "pass",
    "clave",
    "parola",
    "otp",
    "accesskeyid",
];
const WEAK: &[&str] =
    &["key", "keys", "session", "sessionid", "cookie", "signature", "sig", "sid", "dsn", "sessid"];

/// What makes a `key` a secret.
const OPENS: &[&str] = &[
    "api",
    "access",
    "secret",
    "private",
    "auth",
    "encryption",
    "signing",
    "master",
    "account",
    "shared",
    "service",
    "app",
    "deploy",
    "license",
    "licence",
    "storage",
    "webhook",
    "client",
    "subscription",
    "admin",
    "ssh",
    "hmac",
    "aes",
    "openai",
    "anthropic",
    "stripe",
    "aws",
    "azure",
    "sendgrid",
    "mailgun",
    "twilio",
    "server",
    "recovery",
    "activation",
    "decryption",
    "apis",
    "rsa",
    "gcp",
];

/// Ends of a name that say where or when, not what.
const ENDS: &[&str] = &[
    "prod",
    "production",
    "dev",
    "development",
    "test",
    "staging",
    "stage",
    "live",
    "value",
    "new",
    "old",
    "current",
    "confirm",
    "confirmation",
    "repeat",
    "again",
    "base64",
    "b64",
    "plain",
    "plaintext",
    "string",
    "env",
    "default",
    "root",
    "admin",
    "id",
    "primary",
    "secondary",
    "base",
];

/// What a name says.
pub(in crate::redact) fn strength(name: &str) -> Option<Strength> {
    let parts = parts(name);
    let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    while parts.len() > 1
        && parts.last().is_some_and(|last| ENDS.contains(last) || last.bytes().all(|b| b.is_ascii_digit()))
    {
        parts.pop();
    }
    let (last, rest) = parts.split_last()?;
    let previous = rest.last().copied().unwrap_or_default();
    let joined = format!("{previous}{last}");
    let is = |list: &[&str]| list.contains(last) || (!previous.is_empty() && list.contains(&joined.as_str()));
    if is(STRONG)
        || (matches!(*last, "key" | "keys") && OPENS.contains(&previous))
        || (*last == "pass" && !previous.is_empty())
    {
        return Some(Strength::Strong);
    }
    if !last.is_ascii() && STRONG.iter().any(|strong| !strong.is_ascii() && last.contains(strong)) {
        return Some(Strength::Strong);
    }
    if is(TOKENS) {
        return Some(Strength::Token);
    }
    is(WEAK).then_some(Strength::Weak)
}

/// The words of a name, in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` are the same two.
pub(in crate::redact) fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut last_lower = false;
    for c in name.chars() {
        let divides = !c.is_alphanumeric() && !is_vowel_sign(c);
        if (divides || (c.is_uppercase() && last_lower)) && parts.last().is_some_and(|part| !part.is_empty())
        {
            parts.push(String::new());
        }
        if !divides && let Some(part) = parts.last_mut() {
            part.extend(c.to_lowercase());
        }
        last_lower = c.is_lowercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn is_vowel_sign(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x900..=0x903 | 0x93a..=0x94f)
}
