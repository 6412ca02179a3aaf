//! Texts in other languages than the shop's own.
//!
//! **Invariants:** one translation per language, in order of language, [`Translations::LEN_MAX`] at
//! most; a text is 1 to 16,384 bytes without control characters but for line breaks and tabs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::names::Label;

/// A language as BCP 47 writes the common ones: `de` or `de-AT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Language(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a language is 2 or 3 small letters, with a country it may be `-` and 2 capital letters more"
)]
pub struct InvalidLanguage;

impl Language {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Language {
    type Err = InvalidLanguage;

    fn from_str(text: &str) -> Result<Self, InvalidLanguage> {
        let (language, country) = match text.split_once('-') {
            Some((language, country)) => (language, Some(country)),
            None => (text, None),
        };
        let is_language = (2..=3).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_country = |country: &str| {
            country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        if is_language && country.is_none_or(is_country) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidLanguage)
        }
    }
}

impl TryFrom<String> for Language {
    type Error = InvalidLanguage;

    fn try_from(text: String) -> Result<Self, InvalidLanguage> {
        text.parse()
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A description of several lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Prose(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text is 1 to 16384 bytes without control characters but for line breaks and tabs")]
pub struct InvalidProse;

impl Prose {
    pub const BYTES_MAX: usize = 16_384;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Prose {
    type Error = InvalidProse;

    fn try_from(text: String) -> Result<Self, InvalidProse> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        if fits && !text.chars().any(|c| c.is_control() && !['\n', '\r', '\t'].contains(&c)) {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidProse)
        }
    }
}

/// A name and a description in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translation {
    pub language: Language,
    pub name: Label,
    pub description: Option<Prose>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Translation>")]
pub struct Translations(Box<[Translation]>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslationsError {
    #[error("there is more than one translation into {language}")]
    TranslatedTwice { language: Language },
    #[error("there are {n_translations} translations, and {max} are possible", max = Translations::LEN_MAX)]
    TooMany { n_translations: usize },
    /// Of bytes that this program did not write.
    #[error("the translations are not in order")]
    OutOfOrder,
}

impl Translations {
    pub const LEN_MAX: usize = 50;

    pub fn new(mut translations: Vec<Translation>) -> Result<Self, TranslationsError> {
        if translations.len() > Self::LEN_MAX {
            return Err(TranslationsError::TooMany { n_translations: translations.len() });
        }
        translations.sort_by(|left, right| left.language.cmp(&right.language));
        for (left, right) in translations.iter().zip(translations.iter().skip(1)) {
            if left.language == right.language {
                let language = left.language.clone();
                return Err(TranslationsError::TranslatedTwice { language });
            }
        }
        Ok(Self(translations.into_boxed_slice()))
    }

    /// In order of language.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Translation> {
        self.0.iter()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let of_one = |translation: &Translation| {
            let description = translation.description.as_ref();
            translation.language.as_str().len()
                + translation.name.as_str().len()
                + description.map_or(0, |text| text.as_str().len())
        };
        size_of_val(&*self.0) + self.0.iter().map(of_one).sum::<usize>()
    }
}

impl TryFrom<Vec<Translation>> for Translations {
    type Error = TranslationsError;

    fn try_from(given: Vec<Translation>) -> Result<Self, TranslationsError> {
        let in_order = given.is_sorted_by(|left, right| left.language < right.language);
        let translations = Self::new(given)?;
        if in_order { Ok(translations) } else { Err(TranslationsError::OutOfOrder) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translation(language: &str) -> Translation {
        let name = Label::try_from("Tee".to_owned()).unwrap();
        Translation { language: language.parse().unwrap(), name, description: None }
    }

    #[test]
    fn there_is_one_translation_per_language() {
        let found = Translations::new(vec![translation("fr"), translation("de-AT")]).unwrap();
        let languages: Vec<_> = found.iter().map(|one| one.language.as_str()).collect();
        assert_eq!(languages, ["de-AT", "fr"]);
        let language = "de".parse().unwrap();
        let twice = Translations::new(vec![translation("de"), translation("de")]);
        assert_eq!(twice, Err(TranslationsError::TranslatedTwice { language }));
        let given = vec![translation("fr"), translation("de")];
        assert_eq!(Translations::try_from(given), Err(TranslationsError::OutOfOrder));
    }

    #[test]
    fn languages_and_texts_have_bounds() {
        for bad in ["", "d", "deutsch", "DE", "de-", "de-at", "de-AUT", "de_AT"] {
            assert_eq!(bad.parse::<Language>(), Err(InvalidLanguage), "{bad}");
        }
        assert!(Prose::try_from("Zwei\nZeilen".to_owned()).is_ok());
        for bad in [String::new(), "a\0".to_owned(), "x".repeat(Prose::BYTES_MAX + 1)] {
            assert_eq!(Prose::try_from(bad), Err(InvalidProse));
        }
    }
}
