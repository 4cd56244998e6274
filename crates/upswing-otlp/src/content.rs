//! What people and models wrote, in the shapes in which instrumentations write it.

use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value as Json};

use crate::bounds::{MAX_DEPTH, Map, depth};

/// One message of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or whatever the emitter says.
    pub role: String,
    /// Its text; several parts are joined by line breaks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What is no text, as it was sent: calls of tools and their results, reasoning, images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Json>,
    /// Why the model stopped, where it stands on the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}

/// What went in or came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// A text, where that is all there is.
    Text(String),
    /// Messages, where they can be told apart.
    Messages(Vec<Message>),
}

impl Content {
    /// As one text: a single message is its text, several are each preceded by their role.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Messages(messages) => match messages.as_slice() {
                [message] => message.to_text(),
                several => {
                    let each =
                        several.iter().map(|message| format!("{}: {}", message.role, message.to_text()));
                    each.collect::<Vec<_>>().join("\n\n")
                }
            },
        }
    }

    fn messages(messages: Vec<Message>) -> Option<Self> {
        (!messages.is_empty()).then_some(Self::Messages(messages))
    }
}

impl Message {
    fn to_text(&self) -> String {
        let parts = self.parts.iter().map(Json::to_string);
        let text = (!self.text.is_empty()).then(|| self.text.clone());
        text.into_iter().chain(parts).collect::<Vec<_>>().join("\n")
    }

    fn add_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    /// Adds a part: a text to the text, anything else as it is.
    fn add(&mut self, part: &Json) {
        match part {
            Json::Null => {}
            Json::String(text) => self.add_text(text),
            Json::Array(parts) => parts.iter().for_each(|part| self.add(part)),
            Json::Object(fields) => {
                // OpenInference wraps each part in its name.
                if let Some(inner) = fields.get("message_content").filter(|_| fields.len() == 1) {
                    return self.add(inner);
                }
                let kind = fields.get("type").and_then(Json::as_str);
                let text = fields.get("text").or_else(|| fields.get("content")).and_then(Json::as_str);
                match text {
                    Some(text) if matches!(kind, None | Some("text" | "input_text" | "output_text")) => {
                        self.add_text(text);
                    }
                    _ => self.parts.push(bounded(part)),
                }
            }
            other => self.add_text(&other.to_string()),
        }
    }
}

/// A value that nests no deeper than attributes may: what a text holds is not read as deep as it goes.
fn bounded(value: &Json) -> Json {
    if depth(value) > MAX_DEPTH { Json::from(value.to_string()) } else { value.clone() }
}

/// The messages in a value: a list of them, one, or a text of JSON that holds them. A plain text is one message of
/// that role.
pub(crate) fn messages(value: &Json, role: &str) -> Vec<Message> {
    match value {
        Json::Null => Vec::new(),
        Json::String(text) => match structured(text) {
            Some(value) => messages_in(&value, role),
            None if text.is_empty() => Vec::new(),
            None => vec![Message { role: role.to_owned(), text: text.clone(), ..Message::default() }],
        },
        other => messages_in(other, role),
    }
}

fn messages_in(value: &Json, role: &str) -> Vec<Message> {
    match value {
        Json::Array(items) => items.iter().filter_map(|item| message(item, role)).collect(),
        Json::Object(fields) => match fields.get("messages") {
            Some(Json::Array(items)) => items.iter().filter_map(|item| message(item, role)).collect(),
            _ => message(value, role).into_iter().collect(),
        },
        _ => message(value, role).into_iter().collect(),
    }
}

/// A text that is a JSON list or object.
pub(crate) fn structured(text: &str) -> Option<Json> {
    if !text.trim_start().starts_with(['[', '{']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn message(value: &Json, role: &str) -> Option<Message> {
    let mut message = Message { role: role.to_owned(), ..Message::default() };
    let Json::Object(fields) = value else {
        message.add(value);
        return Some(message)
            .filter(|message| *message != Message { role: role.to_owned(), ..Message::default() });
    };
    // `gen_ai.choice` says beside the message why the model stopped.
    message.finish_reason = text_of(fields, "finish_reason");
    let fields = match fields.get("message") {
        Some(Json::Object(inner)) => inner,
        _ => fields,
    };
    if let Some(role) = text_of(fields, "role") {
        message.role = role;
    }
    message.finish_reason = message.finish_reason.or_else(|| text_of(fields, "finish_reason"));
    let mut known = false;
    for name in ["parts", "content", "contents"] {
        if let Some(content) = fields.get(name) {
            known = true;
            match content {
                Json::String(text) => match structured(text) {
                    Some(Json::Array(parts)) if parts.iter().all(|part| part.get("type").is_some()) => {
                        parts.iter().for_each(|part| message.add(part));
                    }
                    _ => message.add_text(text),
                },
                content => message.add(content),
            }
        }
    }
    for name in ["tool_calls", "function_call"] {
        match fields.get(name) {
            Some(Json::Array(calls)) => message.parts.extend(calls.iter().map(bounded)),
            Some(Json::Null) | None => continue,
            Some(call) => message.parts.push(bounded(call)),
        }
        known = true;
    }
    if !known && fields.keys().any(|name| name != "role" && name != "finish_reason" && name != "index") {
        message.parts.push(bounded(&Json::Object(fields.clone())));
    }
    Some(message)
}

fn text_of(fields: &Object<String, Json>, name: &str) -> Option<String> {
    fields.get(name).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A list that was flattened into attributes (`prefix.0.message.role`), as a value. Removes them.
pub(crate) fn unflatten(attributes: &mut Map, prefix: &str) -> Option<Json> {
    let start = format!("{prefix}.");
    let names: Vec<String> = attributes
        .range(start.clone()..)
        .map(|(name, _)| name)
        .take_while(|name| name.starts_with(&start))
        .filter(|name| name[start.len()..].starts_with(|digit: char| digit.is_ascii_digit()))
        .cloned()
        .collect();
    let mut root = Object::new();
    for name in &names {
        if let Some(value) = attributes.remove(name) {
            // As deep as a list of messages with parts and tool calls goes; what follows stays one name.
            let path: Vec<&str> = name[start.len()..].splitn(MAX_DEPTH / 2, '.').collect();
            place(&mut root, &path, value);
        }
    }
    (!root.is_empty()).then(|| lists(Json::Object(root)))
}

fn place(fields: &mut Object<String, Json>, path: &[&str], value: Json) {
    match path {
        [] => {}
        [name] => {
            fields.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = fields.entry(*name).or_insert_with(|| Json::Object(Object::new()));
            if !inner.is_object() {
                *inner = Json::Object(Object::new());
            }
            if let Json::Object(inner) = inner {
                place(inner, rest, value);
            }
        }
    }
}

/// Objects whose names are all numbers become lists in their order.
fn lists(value: Json) -> Json {
    let Json::Object(fields) = value else { return value };
    let mut items: Vec<(Option<u64>, String, Json)> =
        fields.into_iter().map(|(name, value)| (name.parse().ok(), name, lists(value))).collect();
    if items.iter().all(|(index, ..)| index.is_some()) {
        items.sort_by_key(|(index, ..)| *index);
        Json::Array(items.into_iter().map(|(.., value)| value).collect())
    } else {
        Json::Object(items.into_iter().map(|(_, name, value)| (name, value)).collect())
    }
}

/// The names under which content is written. None of it stays among a span's other attributes.
const NAMES: &[&str] = &[
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "input.value",
    "output.value",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.choices",
    "llm.function_call",
    "traceloop.entity.input",
    "traceloop.entity.output",
];
/// The same, for lists that were flattened.
const PREFIXES: &[&str] = &[
    "gen_ai.completion.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "llm.choices.",
    "embedding.embeddings.",
    "retrieval.documents.",
];

/// Takes input and output out of attributes. Where several conventions stand on one span, one of them is taken, the
/// most structured first; the others say the same again.
pub(crate) fn take(attributes: &mut Map) -> (Option<Content>, Option<Content>) {
    let mut input = value_of(attributes, "gen_ai.input.messages", "user");
    if input.is_empty() {
        input = flattened(attributes, &["llm.input_messages", "gen_ai.prompt", "llm.prompts"], "user");
    }
    if input.is_empty() {
        input = value_of(attributes, "gen_ai.prompt", "user");
    }
    let mut output = value_of(attributes, "gen_ai.output.messages", "assistant");
    if output.is_empty() {
        output =
            flattened(attributes, &["llm.output_messages", "gen_ai.completion", "llm.choices"], "assistant");
    }
    if output.is_empty() {
        output = value_of(attributes, "gen_ai.completion", "assistant");
    }
    let system = system(attributes);
    if let Some(system) = system
        && !input.iter().any(|message| message.role == "system" || message.role == "developer")
    {
        input.insert(0, system);
    }
    let input_text = [
        "input.value",
        "traceloop.entity.input",
        "gen_ai.tool.call.arguments",
        "gen_ai.retrieval.query.text",
    ];
    let output_text =
        ["output.value", "traceloop.entity.output", "gen_ai.tool.call.result", "gen_ai.retrieval.documents"];
    let input = Content::messages(input).or_else(|| text(attributes, &input_text));
    let output = Content::messages(output).or_else(|| text(attributes, &output_text));
    (input, output)
}

/// Removes whatever content is left.
pub(crate) fn strip(attributes: &mut Map) {
    for name in NAMES {
        attributes.remove(*name);
    }
    attributes.retain(|name, _| {
        // `gen_ai.prompt.name` is no content, `gen_ai.prompt.0.content` is.
        let prompt = name
            .strip_prefix("gen_ai.prompt.")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        !prompt && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
}

fn value_of(attributes: &mut Map, name: &str, role: &str) -> Vec<Message> {
    attributes.get(name).map(|value| messages(value, role)).unwrap_or_default()
}

fn flattened(attributes: &mut Map, prefixes: &[&str], role: &str) -> Vec<Message> {
    let mut found = Vec::new();
    for prefix in prefixes {
        if let Some(value) = unflatten(attributes, prefix)
            && found.is_empty()
        {
            found = messages(&value, role);
        }
    }
    found
}

fn system(attributes: &Map) -> Option<Message> {
    let mut message = Message { role: "system".to_owned(), ..Message::default() };
    match attributes.get("gen_ai.system_instructions")? {
        Json::String(text) => match structured(text) {
            Some(value) => message.add(&value),
            None => message.add_text(text),
        },
        other => message.add(other),
    }
    (!message.text.is_empty() || !message.parts.is_empty()).then_some(message)
}

fn text(attributes: &Map, names: &[&str]) -> Option<Content> {
    names.iter().find_map(|name| match attributes.get(*name)? {
        Json::Null => None,
        Json::String(text) => (!text.is_empty()).then(|| Content::Text(text.clone())),
        other => Some(Content::Text(other.to_string())),
    })
}

/// What an event says was written: input and output. Nothing for events of other names.
///
/// `gen_ai.client.inference.operation.details` holds all messages; the older `gen_ai.{role}.message` and `gen_ai.choice`
/// hold one each, in the body or among the attributes; `gen_ai.content.prompt` and `.completion` are older still.
pub(crate) fn of_event(name: &str, attributes: &Map, body: &Json) -> Option<(Vec<Message>, Vec<Message>)> {
    let one = |role: &str| -> Vec<Message> {
        match body {
            Json::Null => {
                let fields: Object<String, Json> = attributes
                    .iter()
                    .filter(|(name, _)| !name.starts_with("gen_ai.") && !name.starts_with("event."))
                    .map(|(name, value)| {
                        // A message in an attribute is a text of JSON.
                        let parsed = value.as_str().and_then(structured);
                        (name.clone(), parsed.unwrap_or_else(|| value.clone()))
                    })
                    .collect();
                messages_in(&Json::Object(fields), role)
            }
            body => messages(body, role),
        }
    };
    let both = |attributes: &Map| {
        let mut attributes = attributes.clone();
        let listed = |content| match content {
            Some(Content::Messages(messages)) => messages,
            Some(Content::Text(text)) => vec![Message { text, ..Message::default() }],
            None => Vec::new(),
        };
        let (input, output) = take(&mut attributes);
        (listed(input), listed(output))
    };
    match name {
        "gen_ai.client.inference.operation.details"
        | "gen_ai.content.prompt"
        | "gen_ai.content.completion" => {
            let (mut input, mut output) = both(attributes);
            if let Json::Object(fields) = body {
                let fields: Map = fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                let (more_input, more_output) = both(&fields);
                input.extend(more_input);
                output.extend(more_output);
            }
            Some((input, output))
        }
        "gen_ai.choice" => Some((Vec::new(), one("assistant"))),
        _ => {
            let role = name.strip_prefix("gen_ai.")?.strip_suffix(".message")?;
            matches!(role, "system" | "user" | "assistant" | "tool").then(|| (one(role), Vec::new()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(messages: &[Message]) -> Vec<(&str, &str)> {
        messages.iter().map(|message| (message.role.as_str(), message.text.as_str())).collect()
    }

    fn map(value: Json) -> Map {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn messages_come_as_text_of_json_or_as_values() {
        let value = json!([
            {"role": "user", "parts": [{"type": "text", "content": "6 times 7?"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "result": "42"}]},
        ]);
        let read = messages(&value, "user");
        assert_eq!(texts(&read), [("user", "6 times 7?"), ("assistant", ""), ("tool", "")]);
        assert_eq!(read[1].parts[0]["name"], "f");
        assert_eq!(messages(&json!(value.to_string()), "user"), read);
        assert_eq!(texts(&messages(&json!("plain"), "user")), [("user", "plain")]);
        assert_eq!(texts(&messages(&json!("{not json"), "user")), [("user", "{not json")]);
    }

    #[test]
    fn flattened_lists_are_put_together_in_their_order() {
        let mut attributes = map(json!({
            "llm.input_messages.10.message.role": "user",
            "llm.input_messages.10.message.contents.0.message_content.type": "text",
            "llm.input_messages.10.message.contents.0.message_content.text": "last",
            "llm.input_messages.2.message.role": "system",
            "llm.input_messages.2.message.content": "first",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
            "input.value": "{\"raw\": true}",
            "kept": 1,
        }));
        let (input, output) = take(&mut attributes);
        let (Some(Content::Messages(input)), Some(Content::Messages(output))) = (input, output) else {
            panic!()
        };
        assert_eq!(texts(&input), [("system", "first"), ("user", "last")]);
        assert_eq!(output[0].parts[0]["tool_call"]["function"]["name"], "f");
        strip(&mut attributes);
        assert_eq!(attributes, map(json!({"kept": 1})));
    }

    #[test]
    fn older_prompts_are_content_and_their_name_is_not() {
        let mut attributes = map(json!({
            "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "a", "gen_ai.prompt.name": "greeting",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "b",
            "gen_ai.completion.0.finish_reason": "stop",
        }));
        let (input, output) = take(&mut attributes);
        assert_eq!(input.unwrap().to_text(), "a");
        let Some(Content::Messages(output)) = output else { panic!() };
        assert_eq!((output[0].text.as_str(), output[0].finish_reason.as_deref()), ("b", Some("stop")));
        strip(&mut attributes);
        assert_eq!(attributes, map(json!({"gen_ai.prompt.name": "greeting"})));
    }

    #[test]
    fn system_instructions_come_first_and_once() {
        let mut attributes = map(json!({
            "gen_ai.system_instructions": "[{\"type\": \"text\", \"content\": \"be brief\"}]",
            "gen_ai.input.messages": [{"role": "user", "content": "hello"}],
        }));
        assert_eq!(take(&mut attributes).0.unwrap().to_text(), "system: be brief\n\nuser: hello");
    }

    #[test]
    fn events_hold_messages_in_body_or_attributes() {
        let event =
            |name: &str, attributes: Json, body: Json| of_event(name, &map(attributes), &body).unwrap();
        let (input, _) =
            event("gen_ai.user.message", json!({"gen_ai.system": "openai"}), json!({"content": "a"}));
        assert_eq!(texts(&input), [("user", "a")]);
        let (input, _) =
            event("gen_ai.system.message", json!({"content": "a", "event.name": "x"}), json!(null));
        assert_eq!(texts(&input), [("system", "a")]);
        let choice =
            json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "b"}});
        let (_, output) = event("gen_ai.choice", json!({}), choice);
        assert_eq!(texts(&output), [("assistant", "b")]);
        let (input, output) = event(
            "gen_ai.client.inference.operation.details",
            json!({"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "a"}]}],
                   "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "b"}]}]}),
            json!(null),
        );
        assert_eq!((texts(&input), texts(&output)), (vec![("user", "a")], vec![("assistant", "b")]));
        assert_eq!(of_event("exception", &Map::new(), &Json::Null), None);
    }

    #[test]
    fn what_a_text_holds_nests_no_deeper_than_attributes() {
        let deep =
            format!("[{{\"role\": \"user\", \"parts\": [{}1{}]}}]", "[{\"a\":".repeat(50), "}]".repeat(50));
        for message in messages(&json!(deep), "user") {
            assert!(message.parts.iter().all(|part| depth(part) <= MAX_DEPTH));
        }
    }
}
