//! A product in JSON, both ways: what is shown is what may be sent.

pub(in crate::http) mod schema;

use actors::domain::catalogue::{Choice, Grams, Listing};
use actors::domain::names::{CategoryId, Slug, TaxClass};
use actors::domain::page::{Attribute, Content, Media, Page, PageError, Status, Visibility};

use crate::http::error::{ApiError, Fault};
use crate::http::fields::{
    Document, Faults, Flaw, Members, flaw, inner, integer, list, made, parsed, text,
};
use crate::http::json::Json;
use crate::http::render::MoneyJson;
use crate::http::routes::entries::documents::{
    TranslationJson, prices, prices_json, translations, translations_json,
};

/// A page without its variants, and those that the body names.
pub(in crate::http) struct Product {
    content: Content,
    variants: Option<Vec<Listing>>,
}

impl Product {
    /// A body that names no variants has none.
    pub(in crate::http) fn whole(self) -> Result<(Page, Vec<Listing>), ApiError> {
        let Self { mut content, variants } = self;
        let variants = variants.unwrap_or_default();
        content.variants = variants.iter().map(|listing| listing.sku().clone()).collect();
        page(content).map(|page| (page, variants))
    }

    /// A body that names no variants leaves them as they are.
    pub(super) fn over(mut self, current: &Page) -> Result<(Page, Option<Vec<Listing>>), ApiError> {
        if self.variants.is_some() {
            return self.whole().map(|(page, variants)| (page, Some(variants)));
        }
        self.content.variants.clone_from(&current.variants);
        page(self.content).map(|page| (page, None))
    }
}

fn page(content: Content) -> Result<Page, ApiError> {
    Page::new(content).or_else(|error| {
        let param = match &error {
            PageError::TooMany { what, .. } => *what,
            PageError::VariantTwice { .. } => "variants",
            PageError::CategoryTwice { .. } => "categories",
            PageError::AttributeTwice { .. } => "attributes",
        };
        let mut faults = Faults::default();
        faults.add(param.to_owned(), flaw("invalid", error.to_string()));
        faults.into_result(None)
    })
}

impl Document for Product {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let slug = members.required("slug", faults, slug);
        let title = members.required("title", faults, made);
        let description = members.optional("description", faults, made);
        let attributes =
            members.list("attributes", Page::ATTRIBUTES_MAX, faults, |json| inner(json, attribute));
        let media = members.list("media", Page::MEDIA_MAX, faults, |json| inner(json, medium));
        let categories = members.list("categories", Page::CATEGORIES_MAX, faults, parsed);
        let seller = members.optional("seller", faults, parsed);
        let status = members.optional("status", faults, status);
        let visibility = members.optional("visibility", faults, visibility);
        let translations = translations(members, faults);
        let variants = if members.take_empty("variants") {
            Some(Some(Vec::new()))
        } else if members.has("variants") {
            members.objects("variants", Page::VARIANTS_MAX, faults, variant).map(Some)
        } else {
            Some(None)
        };
        let slug = slug?;
        let on_page = |listing: Listing| listing.on_page(Some(slug.clone()));
        let variants = variants?.map(|all| all.into_iter().map(on_page).collect());
        let content = Content {
            slug,
            title: title?,
            description: description?,
            attributes: attributes?,
            media: media?,
            categories: categories?,
            seller: seller?,
            status: status?.unwrap_or(Status::Draft),
            visibility: visibility?.unwrap_or(Visibility::Listed),
            translations: translations?,
            variants: Vec::new(),
        };
        Some(Self { content, variants })
    }
}

fn slug(json: Json<'_>) -> Result<Slug, Flaw> {
    // The path of many products at once.
    const RESERVED: &str = "bulk";
    match parsed::<Slug>(json)? {
        slug if slug.as_str() == RESERVED => Err(flaw("invalid", "is reserved")),
        slug => Ok(slug),
    }
}

fn attribute(members: &mut Members<'_>, faults: &mut Faults) -> Option<Attribute> {
    let name = members.required("name", faults, made);
    let value = members.required("value", faults, made);
    Some(Attribute { name: name?, value: value? })
}

fn medium(members: &mut Members<'_>, faults: &mut Faults) -> Option<Media> {
    let url = members.required("url", faults, parsed);
    let alt = members.optional("alt", faults, made);
    Some(Media { url: url?, alt: alt? })
}

fn status(json: Json<'_>) -> Result<Status, Flaw> {
    match &*text(json)? {
        "draft" => Ok(Status::Draft),
        "active" => Ok(Status::Active),
        "archived" => Ok(Status::Archived),
        _ => Err(flaw("invalid", "must be draft, active or archived")),
    }
}

fn visibility(json: Json<'_>) -> Result<Visibility, Flaw> {
    match &*text(json)? {
        "listed" => Ok(Visibility::Listed),
        "hidden" => Ok(Visibility::Hidden),
        _ => Err(flaw("invalid", "must be listed or hidden")),
    }
}

fn variant(members: &mut Members<'_>, faults: &mut Faults) -> Option<Listing> {
    let sku = members.required("sku", faults, parsed);
    let name = members.required("name", faults, made);
    let prices = prices("prices", members, faults);
    let tax_class = members.optional("tax_class", faults, parsed);
    let weight = members.optional("weight_grams", faults, |json| {
        let grams = integer(json, 0, i64::from(Grams::MAX))?;
        let grams = u32::try_from(grams).unwrap_or(u32::MAX);
        Grams::try_from(grams).map_err(|error| flaw("out_of_range", error.to_string()))
    });
    let choices = members.optional("options", faults, |json| {
        list(json, Listing::CHOICES_MAX, |json| inner(json, choice))
    });
    let listing = Listing::priced(sku?, name?, prices?)
        .in_tax_class(tax_class?.unwrap_or_else(TaxClass::standard))
        .weighing(weight?)
        .choosing(choices?.unwrap_or_default());
    listing.map_err(|error| faults.add("variants".into(), flaw("invalid", error.to_string()))).ok()
}

fn choice(members: &mut Members<'_>, faults: &mut Faults) -> Option<Choice> {
    let option = members.required("option", faults, made);
    let value = members.required("value", faults, made);
    Some(Choice { option: option?, value: value? })
}

const PRODUCTS_MAX: usize = 100;

/// `{products: [{…}, …]}`
pub(in crate::http) struct Bulk {
    pub(super) products: Vec<Result<Product, ApiError>>,
}

impl Document for Bulk {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { products: members.each("products", PRODUCTS_MAX, faults)? })
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct BulkJson {
    pub(super) results: Vec<OutcomeJson>,
}

/// What became of one product of many.
#[derive(serde::Serialize)]
pub(super) struct OutcomeJson {
    slug: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

impl OutcomeJson {
    pub(super) fn written(slug: &Slug) -> Self {
        let slug = Some(slug.to_string());
        Self { slug, status: "written", code: None, detail: None, errors: Vec::new() }
    }

    pub(super) fn refused(slug: Option<&Slug>, error: &ApiError) -> Self {
        Self {
            slug: slug.map(Slug::to_string),
            status: "refused",
            code: Some(error.code().name),
            detail: Some(error.detail().to_owned()),
            errors: error.fields().to_vec(),
        }
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct ProductJson<'a> {
    slug: &'a str,
    title: &'a str,
    description: Option<&'a str>,
    attributes: Vec<AttributeJson<'a>>,
    media: Vec<MediaJson<'a>>,
    categories: Vec<&'a str>,
    seller: Option<&'a str>,
    status: &'static str,
    visibility: &'static str,
    translations: Vec<TranslationJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<VariantJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

#[derive(serde::Serialize)]
pub(in crate::http) struct AttributeJson<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(serde::Serialize)]
pub(in crate::http) struct MediaJson<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<&'a str>,
}

#[derive(serde::Serialize)]
pub(in crate::http) struct VariantJson<'a> {
    sku: &'a str,
    name: &'a str,
    prices: Vec<MoneyJson>,
    tax_class: &'a str,
    options: Vec<ChoiceJson<'a>>,
    weight_grams: Option<u32>,
}

#[derive(serde::Serialize)]
pub(in crate::http) struct ChoiceJson<'a> {
    option: &'a str,
    value: &'a str,
}

pub(in crate::http) fn attributes_json(page: &Page) -> Vec<AttributeJson<'_>> {
    page.attributes
        .iter()
        .map(|one| AttributeJson { name: one.name.as_str(), value: one.value.as_str() })
        .collect()
}

pub(in crate::http) fn media_json(page: &Page) -> Vec<MediaJson<'_>> {
    page.media
        .iter()
        .map(|one| MediaJson {
            url: one.url.as_str(),
            alt: one.alt.as_ref().map(|alt| alt.as_str()),
        })
        .collect()
}

pub(in crate::http) fn choices_json(listing: &Listing) -> Vec<ChoiceJson<'_>> {
    listing
        .choices()
        .iter()
        .map(|one| ChoiceJson { option: one.option.as_str(), value: one.value.as_str() })
        .collect()
}

impl<'a> ProductJson<'a> {
    pub(in crate::http) fn new(
        page: &'a Page,
        variants: Option<Vec<VariantJson<'a>>>,
        seq: Option<u64>,
    ) -> Self {
        Self {
            slug: page.slug.as_str(),
            title: page.title.as_str(),
            description: page.description.as_ref().map(|text| text.as_str()),
            attributes: attributes_json(page),
            media: media_json(page),
            categories: page.categories.iter().map(CategoryId::as_str).collect(),
            seller: page.seller.as_ref().map(|seller| seller.as_str()),
            status: match page.status {
                Status::Draft => "draft",
                Status::Active => "active",
                Status::Archived => "archived",
            },
            visibility: match page.visibility {
                Visibility::Listed => "listed",
                Visibility::Hidden => "hidden",
            },
            translations: translations_json(&page.translations),
            variants,
            seq,
        }
    }
}

impl<'a> VariantJson<'a> {
    pub(in crate::http) fn new(listing: &'a Listing) -> Self {
        Self {
            sku: listing.sku().as_str(),
            name: listing.name().as_str(),
            prices: prices_json(listing.prices()),
            tax_class: listing.tax_class().as_str(),
            options: choices_json(listing),
            weight_grams: listing.weight().map(Grams::get),
        }
    }
}
