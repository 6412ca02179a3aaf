//! What stands on a page.
//!
//! **Invariants:** see [`super`]; the counts are bounded by the constants of [`Page`].

use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::SkuCode;
use crate::domain::names::{CategoryId, Label, SellerId, Slug};
use crate::domain::translations::{Prose, Translations};
use crate::domain::twins::first_twin;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Content")]
pub struct Page(Content);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub slug: Slug,
    pub title: Label,
    pub description: Option<Prose>,
    pub attributes: Vec<Attribute>,
    pub media: Vec<Media>,
    pub categories: Vec<CategoryId>,
    pub seller: Option<SellerId>,
    pub status: Status,
    pub visibility: Visibility,
    pub translations: Translations,
    /// In the order in which they are shown.
    pub variants: Vec<SkuCode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: Label,
    pub value: Label,
}

/// A picture or a film, by its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub url: MediaUrl,
    /// What it shows, for those who do not see it.
    pub alt: Option<Label>,
}

/// An https address, or a path on the shop's own host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MediaUrl(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media url begins with https:// or one / and has 2048 visible ASCII characters at most")]
pub struct InvalidMediaUrl;

impl MediaUrl {
    pub const BYTES_MAX: usize = 2_048;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaUrl {
    type Err = InvalidMediaUrl;

    fn from_str(text: &str) -> Result<Self, InvalidMediaUrl> {
        let is_own = text.starts_with('/') && !text.starts_with("//");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() <= Self::BYTES_MAX && is_plain && (is_own || text.starts_with("https://")) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidMediaUrl)
        }
    }
}

impl TryFrom<String> for MediaUrl {
    type Error = InvalidMediaUrl;

    fn try_from(text: String) -> Result<Self, InvalidMediaUrl> {
        text.parse()
    }
}

/// Only what is active is shown and sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Draft,
    Active,
    Archived,
}

/// Whether lists show the page. A hidden one is sold to whoever knows its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visibility {
    Listed,
    Hidden,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("there are {n_given} {what}, and {max} are possible")]
    TooMany { what: &'static str, n_given: usize, max: usize },
    #[error("sku {sku} is named twice")]
    VariantTwice { sku: SkuCode },
    #[error("category {category} is named twice")]
    CategoryTwice { category: CategoryId },
    #[error("attribute {name} is named twice")]
    AttributeTwice { name: Label },
}

impl Page {
    pub const ATTRIBUTES_MAX: usize = 50;
    pub const MEDIA_MAX: usize = 25;
    pub const CATEGORIES_MAX: usize = 20;
    pub const VARIANTS_MAX: usize = 100;

    pub fn new(content: Content) -> Result<Self, PageError> {
        at_most("attributes", content.attributes.len(), Self::ATTRIBUTES_MAX)?;
        at_most("media", content.media.len(), Self::MEDIA_MAX)?;
        at_most("categories", content.categories.len(), Self::CATEGORIES_MAX)?;
        at_most("variants", content.variants.len(), Self::VARIANTS_MAX)?;
        if let Some(sku) = first_twin(&content.variants, |sku| sku) {
            return Err(PageError::VariantTwice { sku: sku.clone() });
        }
        if let Some(category) = first_twin(&content.categories, |category| category) {
            return Err(PageError::CategoryTwice { category: category.clone() });
        }
        if let Some(twin) = first_twin(&content.attributes, |attribute| &attribute.name) {
            return Err(PageError::AttributeTwice { name: twin.name.clone() });
        }
        Ok(Self(content))
    }

    /// To be changed and made a page again.
    pub fn into_content(self) -> Content {
        self.0
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let Content { attributes, media, categories, variants, .. } = &self.0;
        let lists = size_of_val(&**attributes)
            + size_of_val(&**media)
            + size_of_val(&**categories)
            + size_of_val(&**variants);
        let of_attribute = |it: &Attribute| it.name.as_str().len() + it.value.as_str().len();
        let of_media = |it: &Media| {
            it.url.as_str().len() + it.alt.as_ref().map_or(0, |alt| alt.as_str().len())
        };
        let texts = self.slug.as_str().len()
            + self.title.as_str().len()
            + self.description.as_ref().map_or(0, |text| text.as_str().len())
            + self.seller.as_ref().map_or(0, |seller| seller.as_str().len());
        lists
            + texts
            + self.translations.heap_bytes()
            + attributes.iter().map(of_attribute).sum::<usize>()
            + media.iter().map(of_media).sum::<usize>()
            + categories.iter().map(|category| category.as_str().len()).sum::<usize>()
            + variants.iter().map(|sku| sku.as_str().len()).sum::<usize>()
    }
}

impl Deref for Page {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

impl TryFrom<Content> for Page {
    type Error = PageError;

    fn try_from(content: Content) -> Result<Self, PageError> {
        Self::new(content)
    }
}

fn at_most(what: &'static str, n_given: usize, max: usize) -> Result<(), PageError> {
    if n_given > max { Err(PageError::TooMany { what, n_given, max }) } else { Ok(()) }
}
