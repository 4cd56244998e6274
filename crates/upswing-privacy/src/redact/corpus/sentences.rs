//! What people write around a value.

use crate::redact::Kind;

use super::draw::Draw;

/// A template for a kind.
pub(super) fn with(draw: &mut Draw, kind: Kind) -> &'static str {
    draw.of(match kind {
        Kind::Email => EMAIL,
        Kind::Phone => PHONE,
        Kind::Card => CARD,
        Kind::Iban => IBAN,
        Kind::Ip => IP,
        Kind::Ssn => SSN,
        Kind::Secret => SECRET,
    })
}

/// A template for any kind.
pub(super) fn any(draw: &mut Draw) -> &'static str {
    let kind = draw.of(&Kind::ALL);
    with(draw, kind)
}

const EMAIL: &[&str] = &[
    "Please send the report to {{email}} before noon.",
    "{{email}}",
    "From: Anna <{{email}}>\nSubject: hello",
    "<a href=\"mailto:{{email}}\">write</a>",
    "cc {{email}}, {{email}} and the others",
    "The answer was wrong, contact me: {{email}}!",
    "Schreiben Sie an {{email}}, danke.",
    "Mon adresse est {{email}} (perso).",
    "mi correo: {{email}}",
    "{\"user\":\"{{email}}\",\"plan\":\"pro\"}",
    "user={{email}} status=200",
    "'{{email}}' did not get the invoice 2024-03-01",
    "| name | {{email}} | 3 |",
    "Have you asked {{email}}?",
    "login failed for {{email}}: bad credentials",
];
const PHONE: &[&str] = &[
    "Call me at {{phone}} tomorrow.",
    "{{phone}}",
    "Tel.: {{phone}}",
    "My number is {{phone}}, please text.",
    "You can reach the office on {{phone}} from 9 to 5.",
    "Rufen Sie mich an: {{phone}}",
    "mon numéro est le {{phone}}",
    "teléfono {{phone}}",
    "{\"phone\": \"{{phone}}\", \"age\": 31}",
    "Anna Weber, {{phone}}, Berlin",
    "the driver ({{phone}}) never came",
    "phone: {{bare_phone}}",
    "call {{local_phone}} and ask for Bob",
    "WhatsApp {{phone}} or mail",
    "Fax {{phone}}",
];
const CARD: &[&str] = &[
    "I paid with {{card}} last week.",
    "{{card}}",
    "card number: {{card}}, exp 12/27, cvv 123",
    "Bitte belasten Sie {{card}}.",
    "my visa {{card}} was charged twice",
    "{\"pan\":\"{{card}}\"}",
    "Tarjeta {{card}} vencida",
    "refund to {{card}} please, order 12345",
    "Kartennummer={{card}};",
    "La carte {{card}} est refusée",
    "两次扣款，卡号{{card}}，请退款",
    "\"{{card}}\"",
];
const IBAN: &[&str] = &[
    "Transfer it to {{iban}} please.",
    "{{iban}}",
    "IBAN: {{iban}}\nBIC: COBADEFFXXX",
    "Überweisung an {{iban}}, Verwendungszweck 4711",
    "mon IBAN est {{iban}}.",
    "{\"iban\": \"{{iban}}\"}",
    "account ({{iban}}) was closed",
    "pay 300 EUR to {{iban}} by Friday",
    "cuenta {{iban}} a nombre de Ana",
];
const IP: &[&str] = &[
    "Connection from {{ip}} refused.",
    "{{ip}}",
    "{{ip}} - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 2326",
    "ssh root@{{ip}}",
    "the server {{ip}} is down",
    "client_ip={{ip}} status=500",
    "{\"ip\":\"{{ip}}\"}",
    "Blocked {{ip}} after five failures",
    "X-Forwarded-For: {{ip}}, {{ip}}",
    "ping {{ip}} (timeout)",
    "Der Rechner {{ip}} antwortet nicht.",
    "inet {{ip}}/24 scope global",
];
const SSN: &[&str] = &[
    "My SSN is {{ssn}}.",
    "{{ssn}}",
    "social security number: {{ssn}}",
    "Patient {{ssn}} was admitted on 2024-01-05.",
    "{\"ssn\":\"{{ssn}}\"}",
    "Her social is {{ssn}}, born 1985",
    "SSN {{bare_ssn}} on file",
    "social security no. {{bare_ssn}}",
    "Applicant: John Doe, {{ssn}}, Ohio",
    "tax form for {{ssn}} attached",
];
const SECRET: &[&str] = &[
    "I used {{secret}} and got a 401.",
    "{{secret}}",
    "my key {{secret}} leaked",
    "OPENAI_API_KEY={{secret}}",
    "{\"key\":\"{{secret}}\"}",
    "curl -H 'Authorization: Bearer {{secret}}' https://api.example.com",
    "why does '{{secret}}' not work?",
    "{{assigned}}",
    "config:\n  {{assigned}}\n  retries: 3",
    "I set {{assigned}}",
    "Look at this: {{assigned}}",
    "log line 17: {{assigned}}",
];
