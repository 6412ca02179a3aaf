//! The description as OpenAPI 3.1.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::Serializer;

use super::headers::Header;
use super::operation::{Access, Answer, Operation, Presence, Tag, refusal_headers};
use crate::http::code::Code;
use crate::http::error::ProblemSchema;
use crate::http::schema::{Example, Schema, of};
use crate::http::{Endpoint, Verb};

#[derive(Serialize)]
pub(super) struct Document {
    openapi: &'static str,
    info: Info,
    servers: [Server; 1],
    tags: Vec<TagJson>,
    paths: Ordered<&'static str, Ordered<String, OperationJson>>,
    components: Components,
}

#[derive(Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
    summary: &'static str,
    license: License,
}

#[derive(Serialize)]
struct License {
    name: &'static str,
    identifier: &'static str,
}

#[derive(Serialize)]
struct Server {
    url: &'static str,
}

#[derive(Serialize)]
struct TagJson {
    name: &'static str,
    description: &'static str,
}

/// A map in the order of its entries.
struct Ordered<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Ordered<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<K, V> Ordered<K, V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationJson {
    operation_id: &'static str,
    tags: [&'static str; 1],
    summary: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security: Vec<BTreeMap<&'static str, [&'static str; 0]>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<ParameterJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<BodyJson>,
    responses: Ordered<String, ResponseJson>,
}

#[derive(Serialize)]
struct ParameterJson {
    name: &'static str,
    r#in: &'static str,
    required: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    schema: Schema,
    example: ExampleJson,
}

struct ExampleJson(Schema);

impl Serialize for ExampleJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Example(&self.0).serialize(serializer)
    }
}

#[derive(Serialize)]
struct BodyJson {
    required: bool,
    content: Ordered<&'static str, Content>,
}

#[derive(Serialize)]
struct Content {
    schema: Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<ExampleJson>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body {
    Plain(Schema),
    Problem {
        #[serde(rename = "allOf")]
        all_of: (Schema, Codes),
    },
}

/// Which codes a problem may have.
struct Codes(Vec<&'static str>);

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let codes = BTreeMap::from([("enum", &self.0)]);
        let properties = BTreeMap::from([("code", codes)]);
        BTreeMap::from([("properties", properties)]).serialize(serializer)
    }
}

#[derive(Serialize)]
struct ResponseJson {
    description: String,
    headers: Ordered<&'static str, Reference>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    content: Ordered<&'static str, Content>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    links: Ordered<&'static str, Link>,
}

#[derive(Serialize)]
struct Reference {
    #[serde(rename = "$ref")]
    to: String,
}

/// How an answer opens another operation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    operation_id: &'static str,
    parameters: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Components {
    security_schemes: BTreeMap<&'static str, SecurityScheme>,
    headers: Ordered<String, HeaderJson>,
    schemas: Ordered<String, Schema>,
}

#[derive(Serialize)]
struct SecurityScheme {
    r#type: &'static str,
    scheme: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct HeaderJson {
    description: &'static str,
    required: bool,
    schema: Schema,
}

const OPERATOR: &str = "operator";

impl Document {
    pub(super) fn new(operations: &[Operation]) -> Self {
        let mut paths: Vec<(&'static str, Ordered<String, OperationJson>)> = Vec::new();
        for operation in operations {
            let path = operation.endpoint.path();
            let verb = operation.verb.name().to_ascii_lowercase();
            let json = OperationJson::new(operation, operations);
            match paths.iter_mut().find(|(known, _)| *known == path) {
                Some((_, Ordered(verbs))) => verbs.push((verb, json)),
                None => paths.push((path, Ordered(vec![(verb, json)]))),
            }
        }
        Self {
            openapi: "3.1.0",
            info: Info {
                title: "OmniCart",
                version: env!("CARGO_PKG_VERSION"),
                summary: "A commerce engine: carts, orders, stock, payments and a catalogue.",
                license: License { name: "Apache 2.0", identifier: "Apache-2.0" },
            },
            servers: [Server { url: "/" }],
            tags: Tag::ALL.map(|tag| TagJson { name: tag.name(), description: tag.about() }).into(),
            paths: Ordered(paths),
            components: Components::new(operations),
        }
    }
}

impl OperationJson {
    fn new(operation: &Operation, all: &[Operation]) -> Self {
        let answers = operation.answers.iter().map(|answer| {
            (answer.status.as_str().to_owned(), ResponseJson::answer(operation, answer, all))
        });
        let refusals = operation.refusals().into_iter().map(|(status, codes)| {
            (status.as_str().to_owned(), ResponseJson::refusal(operation, &codes))
        });
        let mut responses: Vec<_> = answers.chain(refusals).collect();
        responses.sort_by(|(left, _), (right, _)| left.cmp(right));
        let body = operation.body.as_ref().map(|body| BodyJson {
            required: body.presence == Presence::Required,
            content: Ordered(
                body.media.iter().map(|media| (*media, Content::plain(&body.schema))).collect(),
            ),
        });
        Self {
            operation_id: operation.id,
            tags: [operation.tag.name()],
            summary: operation.summary.clone(),
            description: operation.about,
            security: match operation.access {
                Access::Operator => vec![BTreeMap::from([(OPERATOR, [])])],
                Access::Anybody | Access::CartToken | Access::Signed => Vec::new(),
            },
            parameters: parameters(operation),
            request_body: body,
            responses: Ordered(responses),
        }
    }
}

fn parameters(operation: &Operation) -> Vec<ParameterJson> {
    let parameter = |name, place, required, description, schema: &Schema| ParameterJson {
        name,
        r#in: place,
        required,
        description,
        schema: schema.clone(),
        example: ExampleJson(schema.clone()),
    };
    let path =
        operation.path.iter().map(|(name, schema)| parameter(name, "path", true, "", schema));
    let query = operation.query.iter().map(|query| {
        let required = query.presence == Presence::Required;
        parameter(query.name, "query", required, query.about, &query.schema)
    });
    let headers = operation.headers.iter().map(|(header, presence)| {
        let required = *presence == Presence::Required;
        parameter(header.name(), "header", required, header.about(), &header.schema())
    });
    path.chain(query).chain(headers).collect()
}

impl Content {
    fn plain(schema: &Schema) -> Self {
        let example = match schema {
            Schema::Anything => None,
            Schema::Text(_)
            | Schema::Word(_)
            | Schema::Integer { .. }
            | Schema::Boolean
            | Schema::List { .. }
            | Schema::Object(_)
            | Schema::Nullable(_)
            | Schema::Either(_)
            | Schema::Named(..) => Some(ExampleJson(schema.clone())),
        };
        Self { schema: Body::Plain(schema.clone()), example }
    }
}

impl ResponseJson {
    fn answer(operation: &Operation, answer: &Answer, all: &[Operation]) -> Self {
        let content = answer.content.iter();
        let content = content.map(|(media, schema)| (*media, Content::plain(schema)));
        Self {
            description: answer.status.canonical_reason().unwrap_or_default().to_owned(),
            headers: references(&answer.headers),
            content: Ordered(content.collect()),
            links: links(operation, answer, all),
        }
    }

    fn refusal(operation: &Operation, codes: &[Code]) -> Self {
        let titles: Vec<_> = codes.iter().map(|code| code.title).collect();
        let names = Codes(codes.iter().map(|code| code.name).collect());
        let schema = Body::Problem { all_of: (of::<ProblemSchema>(), names) };
        Self {
            description: titles.join("; "),
            headers: references(&refusal_headers(operation, codes)),
            content: Ordered(vec![("application/problem+json", Content { schema, example: None })]),
            links: Ordered(Vec::new()),
        }
    }
}

fn references(headers: &[Header]) -> Ordered<&'static str, Reference> {
    let headers = headers.iter().chain(&[Header::XRequestId]);
    let reference = |header: &Header| {
        (header.name(), Reference { to: format!("#/components/headers/{header:?}") })
    };
    Ordered(headers.map(reference).collect())
}

/// What was created is found by what its creation answered, and so is the order of a checkout.
fn links(operation: &Operation, answer: &Answer, all: &[Operation]) -> Ordered<&'static str, Link> {
    const SENT_TOKEN: &str = "$request.header.Omni-Cart-Token";
    let own = operation.endpoint;
    let is_checkout = own == Endpoint::CartCheckout;
    let (id, token) = if own == Endpoint::Carts {
        ("$response.body#/cart/id", "$response.body#/token")
    } else if own == Endpoint::AdminProducts {
        ("$response.body#/slug", SENT_TOKEN)
    } else {
        ("$response.body#/id", SENT_TOKEN)
    };
    if operation.verb != Verb::Post || answer.content.is_empty() {
        return Ordered(Vec::new());
    }
    let link = |other: &Operation| {
        let mut parameters = BTreeMap::from([("path.id", id)]);
        if other.access == Access::CartToken {
            parameters.insert("header.Omni-Cart-Token", token);
        }
        (other.id, Link { operation_id: other.id, parameters })
    };
    let opened = all
        .iter()
        .filter(|other| if is_checkout { is_of_order(other) } else { is_below(own, other) });
    Ordered(opened.map(link).collect())
}

/// Whether an operation is about one of what is created here.
fn is_below(own: Endpoint, other: &Operation) -> bool {
    let rest = other.endpoint.path().strip_prefix(own.path());
    rest.is_some_and(|rest| rest == "/{id}" || rest.starts_with("/{id}/"))
}

fn is_of_order(other: &Operation) -> bool {
    [Tag::Orders, Tag::Fulfilment].contains(&other.tag)
}

impl Components {
    fn new(operations: &[Operation]) -> Self {
        let description = "The token that the operator chose, or that the server printed.";
        let operator = SecurityScheme { r#type: "http", scheme: "bearer", description };
        let headers = Header::OF_ANSWERS.map(|header| {
            let (description, required) = (header.about(), header.is_certain());
            (format!("{header:?}"), HeaderJson { description, required, schema: header.schema() })
        });
        Self {
            security_schemes: BTreeMap::from([(OPERATOR, operator)]),
            headers: Ordered(headers.into()),
            schemas: Ordered(schemas(operations)),
        }
    }
}

/// Every named schema, in order of name.
pub(super) fn schemas(operations: &[Operation]) -> Vec<(String, Schema)> {
    let mut known = Vec::new();
    of::<ProblemSchema>().names(&mut known);
    for operation in operations {
        let answers = operation.answers.iter().flat_map(|answer| &answer.content);
        answers.for_each(|(_, schema)| schema.names(&mut known));
        operation.body.iter().for_each(|body| body.schema.names(&mut known));
    }
    known.sort_by(|(left, _), (right, _)| left.cmp(right));
    known
}
