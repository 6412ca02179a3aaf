//! The description as a page for people: one text, without a script and without another host.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::document::schemas;
use super::html::{Escaped, Prose};
use super::operation::{Access, JSON, Operation, Presence, Tag};
use crate::http::base64url;
use crate::http::code::Code;
use crate::http::schema::{Example, Member, Need, Schema, Text};

const STYLE: &str = include_str!("page.css");

/// What a browser may do with the page: show it, in its own style.
pub(super) fn policy() -> String {
    let style = base64url::encode(&Sha256::digest(STYLE).into());
    format!(
        "default-src 'none'; style-src 'sha256-{style}='; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

pub(super) fn render(operations: &[Operation]) -> String {
    let mut page = Page(String::new());
    page.add(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>OmniCart API</title><style>",
    );
    page.add(STYLE);
    page.add("</style></head><body>");
    page.contents(operations);
    page.add("<main><h1>OmniCart API</h1>");
    page.conventions();
    for tag in Tag::ALL {
        let (name, about) = (tag.name(), tag.about());
        page.put(format_args!("<h2 id=\"{name}\">{name}</h2><p class=\"soft\">{about}</p>"));
        operations.iter().filter(|one| one.tag == tag).for_each(|one| page.operation(one));
    }
    page.add("<h2 id=\"schemas\">schemas</h2>");
    for (name, schema) in schemas(operations) {
        page.put(format_args!("<section id=\"schema-{name}\"><h3>{name}</h3>"));
        page.schema(&schema);
        let json = serde_json::to_string_pretty(&Example(&schema)).unwrap_or_default();
        page.put(format_args!("<pre>{}</pre></section>", Escaped(json)));
    }
    page.add("</main></body></html>\n");
    page.0
}

struct Page(String);

impl Page {
    fn add(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).unwrap_or_default();
    }

    fn contents(&mut self, operations: &[Operation]) {
        self.add("<nav><a href=\"#\"><strong>OmniCart API</strong></a>");
        for tag in Tag::ALL {
            let name = tag.name();
            self.put(format_args!("<h2><a href=\"#{name}\">{name}</a></h2><ul>"));
            for operation in operations.iter().filter(|one| one.tag == tag) {
                let (id, summary) = (operation.id, Escaped(&operation.summary));
                self.put(format_args!("<li><a href=\"#{id}\">{summary}</a></li>"));
            }
            self.add("</ul>");
        }
        self.add("<h2><a href=\"#schemas\">schemas</a></h2></nav>");
    }

    fn conventions(&mut self) {
        self.add(
            "<p>JSON over HTTP. The same as OpenAPI 3.1: <a href=\"/openapi.json\">/openapi.json</a>.\
             </p><p>Money is in whole minor units. Members that nobody asked for are refused. Errors \
             are <a href=\"#schema-Problem\">problems</a> of RFC 9457 with a stable <code>code</code>. \
             A change under an <code>Idempotency-Key</code> is done once, and answered alike when it \
             is sent again. What a change answers as <code>Omni-Seq</code> can be sent as \
             <code>Omni-Min-Seq</code> to any node, which then answers at or past it. The examples \
             take <code>$SHOP</code> for the address of a node, <code>$TOKEN</code> for an operator's \
             token, and <code>$CART_TOKEN</code> for a cart's.</p>",
        );
    }

    fn operation(&mut self, operation: &Operation) {
        let (verb, path) = (operation.verb.name(), Escaped(operation.endpoint.path()));
        let (id, summary) = (operation.id, Escaped(&operation.summary));
        self.put(format_args!(
            "<section id=\"{id}\"><h3><a href=\"#{id}\">{summary}</a></h3>\
             <code class=\"path\"><span class=\"verb {verb}\">{verb}</span>{path}</code>"
        ));
        if !operation.about.is_empty() {
            self.put(format_args!("<p>{}</p>", Prose(operation.about)));
        }
        let access = match operation.access {
            Access::Anybody => "Open to anybody.",
            Access::CartToken => "Takes the token of the cart.",
            Access::Operator => "Takes an operator's token, as bearer.",
            Access::Signed => "Takes the provider's signature.",
        };
        self.put(format_args!("<p class=\"soft\">{access}</p>"));
        self.parameters(operation);
        if let Some(body) = &operation.body {
            self.add("<h4>Body</h4>");
            if body.presence == Presence::Optional {
                self.add("<p class=\"soft\">May be left out.</p>");
            }
            self.schema(&body.schema.unnamed());
        }
        self.put(format_args!("<h4>Example</h4><pre>{}</pre>", Escaped(curl(operation))));
        self.answers(operation);
        self.add("</section>");
    }

    fn parameters(&mut self, operation: &Operation) {
        let is_empty =
            operation.path.is_empty() && operation.query.is_empty() && operation.headers.is_empty();
        if is_empty {
            return;
        }
        self.add("<h4>Parameters</h4><table>");
        for (name, schema) in &operation.path {
            self.row(name, "in the path", schema, "");
        }
        for query in &operation.query {
            let place = match query.presence {
                Presence::Required => "in the query, required",
                Presence::Optional => "in the query",
            };
            self.row(query.name, place, &query.schema, query.about);
        }
        for (header, presence) in &operation.headers {
            let place = match presence {
                Presence::Required => "header, required",
                Presence::Optional => "header",
            };
            self.row(header.name(), place, &header.schema(), header.about());
        }
        self.add("</table>");
    }

    fn row(&mut self, name: &str, place: &str, schema: &Schema, about: &str) {
        self.put(format_args!(
            "<tr><td><code>{name}</code><br><span class=\"soft\">{place}</span></td><td>"
        ));
        self.schema(schema);
        self.put(format_args!("</td><td class=\"soft\">{}</td></tr>", Prose(about)));
    }

    fn answers(&mut self, operation: &Operation) {
        self.add("<h4>Answers</h4><table>");
        for answer in &operation.answers {
            let status = answer.status;
            self.put(format_args!("<tr><td><code>{status}</code></td><td>"));
            match &*answer.content {
                [] => self.add("<span class=\"soft\">no body</span>"),
                [(media, Schema::Anything)] => self.put(format_args!("{media}")),
                [(_, schema)] => self.schema(schema),
                either => {
                    let media: Vec<_> = either.iter().map(|(media, _)| *media).collect();
                    self.add(&media.join(" or "));
                }
            }
            for header in &answer.headers {
                self.put(format_args!(" <code class=\"soft\">{}</code>", header.name()));
            }
            self.add("</td></tr>");
        }
        for (status, codes) in operation.refusals() {
            self.put(format_args!("<tr><td><code>{status}</code></td><td>"));
            for Code { name, title, .. } in codes {
                let title = Escaped(title);
                self.put(format_args!(
                    "<code>{name}</code> <span class=\"soft\">{title}</span><br>"
                ));
            }
            self.add("</td></tr>");
        }
        self.add("</table>");
    }

    fn schema(&mut self, schema: &Schema) {
        match schema {
            Schema::Text(text) => self.text(text),
            Schema::Word(words) => {
                for (nth, word) in words.iter().enumerate() {
                    let between = if nth == 0 { "" } else { " | " };
                    self.put(format_args!("{between}<code>{}</code>", Escaped(word)));
                }
            }
            Schema::Integer { min, max, .. } => {
                self.add("integer");
                match (min, max) {
                    (&i64::MIN, _) | (_, Some(i64::MAX)) => {}
                    (min, Some(max)) => self.put(format_args!(", {min} to {max}")),
                    (min, None) => self.put(format_args!(", {min} or more")),
                }
            }
            Schema::Boolean => self.add("boolean"),
            Schema::List { max: Some(0), .. } => self.add("empty list"),
            Schema::List { of: inner, min, max } => {
                match (min, max) {
                    (_, None) => self.add("list of "),
                    (min, Some(max)) => self.put(format_args!("list of {min} to {max}: ")),
                }
                self.schema(inner);
            }
            Schema::Object(members) if members.is_empty() => self.add("empty object"),
            Schema::Object(members) => self.members(members),
            Schema::Nullable(inner) => {
                self.schema(inner);
                self.add(" <span class=\"soft\">or null</span>");
            }
            Schema::Either(all) => {
                for (nth, one) in all.iter().enumerate() {
                    self.add(if nth == 0 { "" } else { "<p class=\"soft\">or</p>" });
                    self.schema(one);
                }
            }
            Schema::Named(name, _) => {
                self.put(format_args!("<a href=\"#schema-{name}\">{name}</a>"));
            }
            Schema::Anything => self.add("anything"),
        }
    }

    fn members(&mut self, members: &[Member]) {
        self.add("<table>");
        for Member { name, schema, need, about } in members {
            let need = match need {
                Need::Required => "",
                Need::Optional => "<br><span class=\"soft\">optional</span>",
            };
            self.put(format_args!("<tr><td><code>{name}</code>{need}</td><td>"));
            self.schema(schema);
            self.put(format_args!("</td><td class=\"soft\">{}</td></tr>", Prose(about)));
        }
        self.add("</table>");
    }

    fn text(&mut self, Text { min, max, pattern, .. }: &Text) {
        self.add("string");
        match (min, max) {
            (min, Some(max)) if min == max => self.put(format_args!(", {max} characters")),
            (min, Some(max)) => self.put(format_args!(", {min} to {max} characters")),
            (_, None) => {}
        }
        if let Some(pattern) = pattern {
            self.put(format_args!(" <code class=\"soft\">{}</code>", Escaped(pattern)));
        }
    }
}

/// The operation as it is asked for on a command line.
fn curl(operation: &Operation) -> String {
    let mut path = operation.endpoint.path().to_owned();
    for (name, schema) in &operation.path {
        path = path.replace(&format!("{{{name}}}"), &example(schema));
    }
    let mut lines = vec![format!("curl -X {} \"$SHOP{path}\"", operation.verb.name())];
    match operation.access {
        Access::Operator => lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned()),
        Access::CartToken => lines.push("-H \"Omni-Cart-Token: $CART_TOKEN\"".to_owned()),
        Access::Anybody | Access::Signed => {}
    }
    for (header, presence) in &operation.headers {
        let is_token = operation.access == Access::CartToken && header.name() == "Omni-Cart-Token";
        if *presence == Presence::Required && !is_token {
            lines.push(format!("-H '{}: {}'", header.name(), example(&header.schema())));
        }
    }
    if let Some(body) = &operation.body {
        let media = body.media.first().copied().unwrap_or(JSON);
        lines.push(format!("-H 'Content-Type: {media}'"));
        if media == JSON {
            let json = serde_json::to_string_pretty(&Example(&body.schema)).unwrap_or_default();
            lines.push(format!("-d '{}'", json.replace('\'', r"'\''")));
        } else {
            lines.push("--data-binary @file".to_owned());
        }
    }
    lines.join(" \\\n  ")
}

/// A value as it stands in a path or a header.
fn example(schema: &Schema) -> String {
    let json = serde_json::to_value(Example(schema)).unwrap_or_default();
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}
