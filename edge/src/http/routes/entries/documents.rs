//! What each kind of entry looks like in JSON, both ways: what is shown is what may be sent.

pub(in crate::http) mod discount_code;
mod price_list;
mod promotion;
mod schema;
mod stock_location;

use actors::domain::category::Category;
use actors::domain::discount_code::CodeName;
use actors::domain::names::{
    CategoryId, LocationId, PriceListId, PromotionId, SellerId, ShippingOptionId, TaxClass,
};
use actors::domain::prices::Prices;
use actors::domain::seller::{Seller, Standing};
use actors::domain::shipping::{Countries, ShippingOption};
use actors::domain::tax::{AppliedRate, Destination, Inclusion, Percent, TaxRate, TaxRateId};
use actors::domain::translations::{Translation, Translations};
use actors::{Currency, Money, PriceBook};
use cluster::ids::EntityKey;

use super::Resource;
use crate::http::extract::in_path;
use crate::http::fields::{Faults, Flaw, Members, flaw, inner, integer, made, parsed, text};
use crate::http::json::Json;
use crate::http::render::{MoneyJson, Text};
use crate::http::routes::documents::instant;
use crate::http::schema::{Schema, object, optional, required, short_list, word, words};

in_path! {
    CodeName: "code", DISCOUNT_CODE_NOT_FOUND, "this cannot be a discount code",
        words::handle("SPRING-10");
    CategoryId: "id", CATEGORY_NOT_FOUND, "this cannot be a category", words::handle("oolong");
    LocationId: "id", STOCK_LOCATION_NOT_FOUND, "this cannot be a stock location",
        words::handle("berlin");
    PriceListId: "id", PRICE_LIST_NOT_FOUND, "this cannot be a price list", words::handle("summer");
    PromotionId: "id", PROMOTION_NOT_FOUND, "this cannot be a promotion", words::handle("spring");
    SellerId: "id", SELLER_NOT_FOUND, "this cannot be a seller", words::handle("ann");
    ShippingOptionId: "id", SHIPPING_OPTION_NOT_FOUND, "this cannot be a shipping option",
        words::handle("parcel");
    TaxRateId: "id", TAX_RATE_NOT_FOUND, "this cannot be a tax rate", words::tax_rate_id();
}

#[derive(serde::Serialize)]
pub(in crate::http) struct TranslationJson<'a> {
    language: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

pub(in crate::http) fn translations_json(all: &Translations) -> Vec<TranslationJson<'_>> {
    fn json(one: &Translation) -> TranslationJson<'_> {
        let Translation { language, name, description } = one;
        TranslationJson {
            language: language.as_str(),
            name: name.as_str(),
            description: description.as_ref().map(|text| text.as_str()),
        }
    }
    all.iter().map(json).collect()
}

pub(in crate::http) fn translations(
    members: &mut Members<'_>,
    faults: &mut Faults,
) -> Option<Translations> {
    let max = Translations::LEN_MAX;
    let all = members.list("translations", max, faults, |json| inner(json, translation))?;
    Translations::new(all)
        .map_err(|error| faults.add("translations".into(), flaw("invalid", error.to_string())))
        .ok()
}

fn translation(members: &mut Members<'_>, faults: &mut Faults) -> Option<Translation> {
    let language = members.required("language", faults, parsed);
    let name = members.required("name", faults, made);
    let description = members.optional("description", faults, made);
    Some(Translation { language: language?, name: name?, description: description? })
}

/// `[{amount, currency}, …]`
pub(in crate::http) fn prices(
    name: &str,
    members: &mut Members<'_>,
    faults: &mut Faults,
) -> Option<Prices> {
    let all = members.list(name, Prices::LEN_MAX, faults, money)?;
    let named = name.to_owned();
    Prices::new(all).map_err(|error| faults.add(named, flaw("invalid", error.to_string()))).ok()
}

pub(in crate::http) fn money(json: Json<'_>) -> Result<Money, Flaw> {
    inner(json, |members, faults| {
        let minor = members.required("amount", faults, |json| integer(json, 0, Prices::PRICE_MAX));
        let currency = members.required("currency", faults, parsed::<Currency>);
        Some(Money { minor: minor?, currency: currency? })
    })
}

pub(in crate::http) fn prices_schema() -> Schema {
    short_list(words::price(), 0, Prices::LEN_MAX)
}

pub(in crate::http) fn translations_schema() -> Schema {
    let translation = object([
        required("language", words::language()),
        required("name", words::line("Oolong aus Taiwan")),
        optional("description", words::prose("Halb oxidiert.")),
    ]);
    short_list(translation, 0, Translations::LEN_MAX)
}

pub(in crate::http) fn prices_json(prices: &Prices) -> Vec<MoneyJson> {
    prices.iter().map(MoneyJson).collect()
}

#[derive(serde::Serialize)]
pub(in crate::http) struct CategoryJson<'a> {
    id: &'a str,
    name: &'a str,
    parent: Option<&'a str>,
    position: u32,
    translations: Vec<TranslationJson<'a>>,
}

impl Resource for Category {
    type Id = CategoryId;
    type Json<'a> = CategoryJson<'a>;
    const PATH: &'static str = "/admin/v1/categories";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn key_of(id: &CategoryId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> CategoryJson<'_> {
        CategoryJson {
            id: self.id.as_str(),
            name: self.name.as_str(),
            parent: self.parent.as_ref().map(CategoryId::as_str),
            position: self.position,
            translations: translations_json(&self.translations),
        }
    }

    fn body() -> Schema {
        object([
            required("id", words::handle("oolong")),
            required("name", words::line("Oolong")),
            optional("parent", words::handle("tea")),
            optional("position", crate::http::schema::integer(0, i64::from(u32::MAX), 3)),
            optional("translations", translations_schema()),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.required("id", faults, parsed);
        let name = members.required("name", faults, made);
        let parent = members.optional("parent", faults, parsed);
        let position = members.optional("position", faults, |json| {
            let number = integer(json, 0, i64::from(u32::MAX))?;
            u32::try_from(number).map_err(|error| flaw("out_of_range", error.to_string()))
        });
        let translations = translations(members, faults);
        Some(Self {
            id: id?,
            name: name?,
            parent: parent?,
            position: position?.unwrap_or(0),
            translations: translations?,
        })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.categories().iter().map(|category| (**category).clone())
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct TaxRateJson<'a> {
    id: Text<&'a TaxRateId>,
    country: &'a str,
    region: Option<&'a str>,
    tax_class: &'a str,
    /// In millionths of the price: 190000 is 19 %.
    rate_millionths: u32,
    included: bool,
}

impl Resource for TaxRate {
    type Id = TaxRateId;
    type Json<'a> = TaxRateJson<'a>;
    const PATH: &'static str = "/admin/v1/tax_rates";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn key_of(id: &TaxRateId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> TaxRateJson<'_> {
        let TaxRateId { place, class } = &self.id;
        TaxRateJson {
            id: Text(&self.id),
            country: place.country.as_str(),
            region: place.region.as_ref().map(|region| region.as_str()),
            tax_class: class.as_str(),
            rate_millionths: self.applied.percent.millionths(),
            included: match self.applied.inclusion {
                Inclusion::Inclusive => true,
                Inclusion::Exclusive => false,
            },
        }
    }

    fn body() -> Schema {
        let id = optional("id", words::tax_rate_id());
        object([
            id.about("Follows from the rest; where it is given, it must be that one."),
            required("country", words::country()),
            optional("region", words::region()),
            optional("tax_class", words::handle("standard")),
            required("rate_millionths", words::rate_millionths())
                .about("Of the price: 190000 is 19 %."),
            required("included", Schema::Boolean),
        ])
    }

    /// The id follows from the rest; where it is given, it must be that one.
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let given = members.optional("id", faults, parsed::<TaxRateId>);
        let country = members.required("country", faults, parsed);
        let region = members.optional("region", faults, parsed);
        let class = members.optional("tax_class", faults, parsed);
        let percent = members.required("rate_millionths", faults, |json| {
            let number = integer(json, 0, i64::from(Percent::MILLIONTHS_MAX))?;
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            Percent::try_from(number).map_err(|error| flaw("out_of_range", error.to_string()))
        });
        let included = members.required("included", faults, crate::http::fields::boolean);
        let place = Destination { country: country?, region: region? };
        let id = TaxRateId { place, class: class?.unwrap_or_else(TaxClass::standard) };
        if given?.is_some_and(|given| given != id) {
            faults.add("id".into(), flaw("invalid", format!("of these members it is {id}")));
            return None;
        }
        let inclusion = if included? { Inclusion::Inclusive } else { Inclusion::Exclusive };
        Some(Self { id, applied: AppliedRate { percent: percent?, inclusion } })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        // By text, which is what cursors compare; a region's comes before its country's there.
        let rates = book.tax_rates().iter();
        let mut all: Vec<_> = rates.map(|(id, applied)| Self { id: id.clone(), applied }).collect();
        all.sort_by_cached_key(Resource::id);
        all.into_iter()
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct ShippingOptionJson<'a> {
    id: &'a str,
    name: &'a str,
    carrier: &'a str,
    prices: Vec<MoneyJson>,
    free_from: Vec<MoneyJson>,
    countries: Vec<Text<actors::domain::tax::CountryCode>>,
    tax_class: &'a str,
}

impl Resource for ShippingOption {
    type Id = ShippingOptionId;
    type Json<'a> = ShippingOptionJson<'a>;
    const PATH: &'static str = "/admin/v1/shipping_options";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn key_of(id: &ShippingOptionId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> ShippingOptionJson<'_> {
        ShippingOptionJson {
            id: self.id.as_str(),
            name: self.name.as_str(),
            carrier: self.carrier.as_str(),
            prices: prices_json(&self.prices),
            free_from: prices_json(&self.free_from),
            countries: self.countries.iter().map(Text).collect(),
            tax_class: self.tax_class.as_str(),
        }
    }

    fn body() -> Schema {
        object([
            required("id", words::handle("parcel")),
            required("name", words::line("Parcel")),
            required("carrier", words::line("Post")),
            optional("prices", prices_schema()),
            optional("free_from", prices_schema()),
            optional("countries", short_list(words::country(), 0, Countries::LEN_MAX))
                .about("Where it goes; none is everywhere."),
            optional("tax_class", words::handle("standard")),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.required("id", faults, parsed);
        let name = members.required("name", faults, made);
        let carrier = members.required("carrier", faults, made);
        let charged = prices("prices", members, faults);
        let free_from = prices("free_from", members, faults);
        let countries = members.list("countries", Countries::LEN_MAX, faults, parsed);
        let tax_class = members.optional("tax_class", faults, parsed);
        Some(Self {
            id: id?,
            name: name?,
            carrier: carrier?,
            prices: charged?,
            free_from: free_from?,
            countries: Countries::of(countries?),
            tax_class: tax_class?.unwrap_or_else(TaxClass::standard),
        })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.shipping_options().map(|option| (**option).clone())
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct SellerJson<'a> {
    id: &'a str,
    name: &'a str,
    status: &'static str,
}

impl Resource for Seller {
    type Id = SellerId;
    type Json<'a> = SellerJson<'a>;
    const PATH: &'static str = "/admin/v1/sellers";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn key_of(id: &SellerId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> SellerJson<'_> {
        let status = match self.standing {
            Standing::Active => "active",
            Standing::Suspended => "suspended",
        };
        SellerJson { id: self.id.as_str(), name: self.name.as_str(), status }
    }

    fn body() -> Schema {
        object([
            required("id", words::handle("ann")),
            required("name", words::line("Ann's teas")),
            optional("status", word(&["active", "suspended"])),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.required("id", faults, parsed);
        let name = members.required("name", faults, made);
        let standing = members.optional("status", faults, |json| match &*text(json)? {
            "active" => Ok(Standing::Active),
            "suspended" => Ok(Standing::Suspended),
            _ => Err(flaw("invalid", "must be active or suspended")),
        });
        Some(Self { id: id?, name: name?, standing: standing?.unwrap_or(Standing::Active) })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.sellers().map(|seller| (**seller).clone())
    }
}
