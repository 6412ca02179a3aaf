//! A promotion in JSON.

use actors::PriceBook;
use actors::domain::names::PromotionId;
use actors::domain::price_list::Validity;
use actors::domain::prices::Prices;
use actors::domain::promotion::{
    Benefit, CHOSEN_MAX, Chosen, Promotion, Rebate, Scope, Shoppers, Stacking, Trigger,
};
use cluster::ids::EntityKey;
use cluster::time::Timestamp;

use super::{instant, prices, prices_json, prices_schema};
use crate::http::fields::{
    Faults, Flaw, Members, boolean, flaw, inner, integer, list, made, parsed, text,
};
use crate::http::json::Json;
use crate::http::render::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::routes::documents::{quantity, small};
use crate::http::routes::entries::Resource;
use crate::http::schema::{self, Schema, object, optional, required, short_list, word, words};

/// Which of a customer's orders it is for.
const ANY: &str = "any";
const FIRST: &str = "first";

#[derive(serde::Serialize)]
pub(in crate::http) struct PromotionJson<'a> {
    id: &'a str,
    name: &'a str,
    benefit: BenefitJson<'a>,
    scope: Option<ScopeJson<'a>>,
    minimum: Vec<MoneyJson>,
    customer_group: Option<&'a str>,
    orders: &'static str,
    valid_from: Option<Text<Rfc3339>>,
    valid_until: Option<Text<Rfc3339>>,
    requires_code: bool,
    priority: u16,
    exclusive: bool,
}

#[derive(serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BenefitJson<'a> {
    Percentage { rate_millionths: u32 },
    Amount { off: Vec<MoneyJson> },
    BuyGet { buy: u32, get: u32, from: Option<ScopeJson<'a>>, rate_millionths: u32 },
    FreeShipping,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum ScopeJson<'a> {
    Skus(Vec<&'a str>),
    Categories(Vec<&'a str>),
}

impl Resource for Promotion {
    type Id = PromotionId;
    type Json<'a> = PromotionJson<'a>;
    const PATH: &'static str = "/admin/v1/promotions";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn key_of(id: &PromotionId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> PromotionJson<'_> {
        let instant = |at: Timestamp| Text(Rfc3339(at));
        PromotionJson {
            id: self.id.as_str(),
            name: self.name.as_str(),
            benefit: benefit_json(&self.benefit),
            scope: scope_json(&self.scope),
            minimum: prices_json(&self.minimum),
            customer_group: match &self.shoppers {
                Shoppers::Everyone | Shoppers::FirstOrder => None,
                Shoppers::Group(group) => Some(group.as_str()),
            },
            orders: if self.is_for_first_orders() { FIRST } else { ANY },
            valid_from: self.validity.from().map(instant),
            valid_until: self.validity.until().map(instant),
            requires_code: self.trigger == Trigger::Code,
            priority: self.priority,
            exclusive: self.stacking == Stacking::Exclusive,
        }
    }

    fn body() -> Schema {
        object([
            required("id", words::handle("spring")),
            required("name", words::line("Spring sale")),
            required("benefit", benefit_schema()),
            optional("scope", scope_schema()).about("Which lines it is about; without it, all."),
            optional("minimum", prices_schema())
                .about("What these lines must be worth, before anything is taken off."),
            optional("customer_group", words::handle("staff"))
                .about("Shoppers without an account are in none."),
            optional("orders", orders_schema()).about(
                "With first it is for customers who bought nothing yet, told apart by their e-mail \
                 addresses at the checkout: until then a cart is priced as if it were a first order. \
                 Such a promotion requires a code, which anybody else can take out of the cart \
                 again, and is for no customer_group.",
            ),
            optional("valid_from", words::instant().such_as("2026-01-01T00:00:00Z")),
            optional("valid_until", words::instant().such_as("2126-01-01T00:00:00Z")),
            optional("requires_code", Schema::Boolean),
            optional("priority", schema::integer(0, i64::from(u16::MAX), 10))
                .about("Those with more come first, among equals by id."),
            optional("exclusive", Schema::Boolean)
                .about("Granted only where none came before it, and none comes after it."),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.required("id", faults, parsed);
        let name = members.required("name", faults, made);
        let benefit = members.required("benefit", faults, |json| inner(json, benefit));
        let scope = members.optional("scope", faults, |json| inner(json, scope));
        let minimum = prices("minimum", members, faults);
        let shoppers = shoppers(members, faults);
        let validity = validity(members, faults);
        let requires_code = members.optional("requires_code", faults, boolean);
        let priority = members.optional("priority", faults, |json| {
            let number = integer(json, 0, i64::from(u16::MAX))?;
            u16::try_from(number).map_err(|error| flaw("out_of_range", error.to_string()))
        });
        let exclusive = members.optional("exclusive", faults, boolean);
        let (shoppers, is_coded) = (shoppers?, requires_code?.unwrap_or(false));
        if shoppers == Shoppers::FirstOrder && !is_coded {
            // Whoever has ordered before could buy nothing: it is in every cart, and refused in theirs.
            let detail = "a promotion for first orders requires a code";
            faults.add("requires_code".into(), flaw("invalid", detail));
        }
        let is_alone = exclusive?.unwrap_or(false);
        Some(Self {
            id: id?,
            name: name?,
            benefit: benefit?,
            scope: scope?.unwrap_or(Scope::Everything),
            minimum: minimum?,
            shoppers,
            validity: validity?,
            trigger: if is_coded { Trigger::Code } else { Trigger::Nothing },
            priority: priority?.unwrap_or(0),
            stacking: if is_alone { Stacking::Exclusive } else { Stacking::Combinable },
        })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.promotions().iter().map(|promotion| (**promotion).clone())
    }
}

fn shoppers(members: &mut Members<'_>, faults: &mut Faults) -> Option<Shoppers> {
    let group = members.optional("customer_group", faults, parsed);
    let is_first = members.optional("orders", faults, is_first);
    match (group?, is_first?.unwrap_or(false)) {
        (None, false) => Some(Shoppers::Everyone),
        (None, true) => Some(Shoppers::FirstOrder),
        (Some(group), false) => Some(Shoppers::Group(group)),
        (Some(_), true) => {
            let detail = "a promotion is for a customer group or for first orders";
            faults.add("orders".into(), flaw("invalid", detail));
            None
        }
    }
}

fn is_first(json: Json<'_>) -> Result<bool, Flaw> {
    match &*text(json)? {
        ANY => Ok(false),
        FIRST => Ok(true),
        _ => Err(flaw("invalid", "must be any or first")),
    }
}

pub(super) fn orders_schema() -> Schema {
    word(&[ANY, FIRST])
}

fn validity(members: &mut Members<'_>, faults: &mut Faults) -> Option<Validity> {
    let from = members.optional("valid_from", faults, instant);
    let until = members.optional("valid_until", faults, instant);
    let validity = Validity::new(from?, until?);
    let detail = "a promotion ends after it begins";
    validity.map_err(|_| faults.add("valid_until".into(), flaw("invalid", detail))).ok()
}

fn benefit_json(benefit: &Benefit) -> BenefitJson<'_> {
    match benefit {
        Benefit::Percentage { off } => {
            BenefitJson::Percentage { rate_millionths: off.millionths() }
        }
        Benefit::Amount { off } => BenefitJson::Amount { off: prices_json(off) },
        Benefit::BuyGet { buy, get, from, off } => BenefitJson::BuyGet {
            buy: buy.get(),
            get: get.get(),
            from: from.as_ref().and_then(scope_json),
            rate_millionths: off.millionths(),
        },
        Benefit::FreeShipping => BenefitJson::FreeShipping,
    }
}

fn benefit(members: &mut Members<'_>, faults: &mut Faults) -> Option<Benefit> {
    let kind = members.required("type", faults, text)?;
    match &*kind {
        "percentage" => {
            Some(Benefit::Percentage { off: members.required("rate_millionths", faults, rebate)? })
        }
        "amount" => {
            let off = prices("off", members, faults)?;
            if off.iter().next().is_none() || off.iter().any(|amount| amount.minor == 0) {
                let detail = "must have an amount above zero for each of some currencies";
                faults.add("off".into(), flaw("out_of_range", detail));
                return None;
            }
            Some(Benefit::Amount { off })
        }
        "buy_get" => {
            let buy = members.required("buy", faults, quantity);
            let get = members.required("get", faults, quantity);
            let from = members.optional("from", faults, |json| inner(json, scope));
            let off = members.required("rate_millionths", faults, rebate);
            Some(Benefit::BuyGet { buy: buy?, get: get?, from: from?, off: off? })
        }
        "free_shipping" => Some(Benefit::FreeShipping),
        _ => {
            let detail = "must be percentage, amount, buy_get or free_shipping";
            faults.add("type".into(), flaw("invalid", detail));
            None
        }
    }
}

pub(super) fn benefit_schema() -> Schema {
    let of = |name| required("type", word(name));
    let rate =
        || required("rate_millionths", rebate_schema()).about("Of the price: 100000 is 10 %.");
    let pieces = |such_as| words::quantity().so_many(such_as);
    Schema::Either(vec![
        object([of(&["percentage"]), rate()]),
        object([
            of(&["amount"]),
            required("off", short_list(words::taken_off(), 1, Prices::LEN_MAX)),
        ]),
        object([
            of(&["buy_get"]),
            required("buy", pieces(2)),
            required("get", pieces(1)),
            optional("from", scope_schema()).about("Where the cheaper pieces come from."),
            rate(),
        ]),
        object([of(&["free_shipping"])]),
    ])
}

fn rebate(json: Json<'_>) -> Result<Rebate, Flaw> {
    let number = small(json, 1, Rebate::MILLIONTHS_MAX)?;
    Rebate::try_from(number).map_err(|error| flaw("out_of_range", error.to_string()))
}

fn rebate_schema() -> Schema {
    schema::integer(1, i64::from(Rebate::MILLIONTHS_MAX), 100_000)
}

fn scope_json(scope: &Scope) -> Option<ScopeJson<'_>> {
    match scope {
        Scope::Everything => None,
        Scope::Skus(skus) => Some(ScopeJson::Skus(skus.iter().map(|sku| sku.as_str()).collect())),
        Scope::Categories(ids) => {
            Some(ScopeJson::Categories(ids.iter().map(|id| id.as_str()).collect()))
        }
    }
}

/// `{skus: […]}` or `{categories: […]}`
fn scope(members: &mut Members<'_>, faults: &mut Faults) -> Option<Scope> {
    if members.has("categories") {
        members.required("categories", faults, chosen).map(Scope::Categories)
    } else {
        members.required("skus", faults, chosen).map(Scope::Skus)
    }
}

fn chosen<T>(json: Json<'_>) -> Result<Chosen<T>, Flaw>
where
    T: std::str::FromStr<Err: std::fmt::Display> + Ord,
{
    let all = list(json, CHOSEN_MAX, parsed)?;
    Chosen::of(all).map_err(|error| flaw("out_of_range", error.to_string()))
}

pub(super) fn scope_schema() -> Schema {
    let some = |of| short_list(of, 1, CHOSEN_MAX);
    Schema::Either(vec![
        object([required("skus", some(words::sku()))]),
        object([required("categories", some(words::handle("oolong")))]),
    ])
}
