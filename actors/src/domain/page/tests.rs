use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::entity::{Catalogue, NoCatalogue};
use proptest::prelude::*;

use super::*;
use crate::domain::catalogue::ProductName;
use crate::domain::names::Label;
use crate::domain::translations::Translations;

const NOON: Timestamp = Timestamp::from_micros(1);

fn sku(code: &str) -> SkuCode {
    code.parse().unwrap()
}

fn page(slug: &str, variants: &[&str]) -> Page {
    Page::new(Content {
        slug: slug.parse().unwrap(),
        title: Label::try_from("A product".to_owned()).unwrap(),
        description: None,
        attributes: vec![],
        media: vec![],
        categories: vec![],
        seller: None,
        status: Status::Active,
        visibility: Visibility::Listed,
        translations: Translations::default(),
        variants: variants.iter().map(|code| sku(code)).collect(),
    })
    .unwrap()
}

fn listing(code: &str, page: Option<&str>) -> Listing {
    let name = ProductName::try_from("Tea".to_owned()).unwrap();
    Listing::new(sku(code), name, vec![]).unwrap().on_page(page.map(|slug| slug.parse().unwrap()))
}

fn put(page: Page, variants: &[(&str, &str)]) -> Command {
    let variants = variants.iter().map(|(code, page)| listing(code, Some(page))).collect();
    Command::Put { page: Box::new(page), variants }
}

fn told(effects: &[Effect]) -> Vec<String> {
    let name = |effect: &Effect| match effect {
        Effect::Tell { to, command } => match product::Command::from_bytes(command).unwrap() {
            product::Command::List { listing } => {
                assert_eq!(to.key, listing.sku().key());
                format!("list {}", listing.sku())
            }
            product::Command::WithdrawFrom { page } => format!("withdraw {to} from {page}"),
            product::Command::Withdraw => panic!("another page may have it"),
        },
        other @ (Effect::SetTimer { .. }
        | Effect::CancelTimer { .. }
        | Effect::Invoke { .. }
        | Effect::Publish { .. }) => panic!("{other:?}"),
    };
    effects.iter().map(name).collect()
}

/// Of the page `teas`, in a shop with these listings: what is told, and whether the page changes.
#[track_caller]
fn check(
    given: Option<Page>,
    listed: &[(&str, Option<&str>)],
    when: Command,
    then: Result<(&[&str], usize), Rejection>,
) {
    let listings = listed.iter().map(|(code, page)| listing(code, *page)).collect();
    let book = PriceBook::new(PriceBook::empty().default_currency(), listings).unwrap();
    let catalogue = Catalogue { index: 1, content: Arc::new(book) };
    let key = "teas".parse::<Slug>().unwrap().key();
    let me = EntityRef { kind: ProductPage::KIND, key };
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue: Ok(&catalogue) };
    let decided = ProductPage { page: given }.decide(when, &ctx);
    let decided = decided.map(|decision| (told(&decision.effects), decision.events.len()));
    let then = then.map(|(told, n_events)| {
        (told.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), n_events)
    });
    assert_eq!(decided, then);
}

#[test]
fn a_page_lists_its_variants_and_withdraws_those_it_lets_go() {
    let both = || put(page("teas", &["a", "b"]), &[("a", "teas"), ("b", "teas")]);
    check(None, &[("b", None)], both(), Ok((&["list a", "list b"], 1)));
    let on_it = [("a", Some("teas")), ("b", Some("teas"))];
    let given = || Some(page("teas", &["a", "b"]));
    check(given(), &on_it, both(), Ok((&["list a", "list b"], 1)));
    check(given(), &on_it, put(page("teas", &["a", "b"]), &[]), Ok((&[], 0)));
    check(given(), &on_it, put(page("teas", &["b"]), &[]), Ok((&["withdraw 3/a from teas"], 1)));
    check(given(), &[], both(), Ok((&["list a", "list b"], 1)));
    let gone = ["withdraw 3/a from teas", "withdraw 3/b from teas"];
    check(given(), &on_it, Command::Remove, Ok((&gone, 1)));
    check(None, &[], Command::Remove, Ok((&[], 0)));
}

#[test]
fn a_page_takes_no_sku_of_another() {
    let (a, other) = (|| put(page("teas", &["a"]), &[("a", "teas")]), "pots".parse().unwrap());
    let taken = Rejection::OnAnotherPage { sku: sku("a"), page: other };
    check(None, &[("a", Some("pots"))], a(), Err(taken));
    check(None, &[], put(page("pots", &[]), &[]), Err(Rejection::OtherSlug));
    let foreign = || Err(Rejection::ForeignVariant { sku: sku("a") });
    check(None, &[], put(page("teas", &["a"]), &[("a", "pots")]), foreign());
    check(None, &[], put(page("teas", &[]), &[("a", "teas")]), foreign());
    let unlisted = Rejection::UnlistedVariant { sku: sku("a") };
    check(None, &[("a", None)], put(page("teas", &["a"]), &[]), Err(unlisted));
}

#[test]
fn without_the_catalogue_nothing_is_decided() {
    let key = "teas".parse::<Slug>().unwrap().key();
    let me = EntityRef { kind: ProductPage::KIND, key };
    let catalogue = Err(NoCatalogue::Stale);
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue };
    let refused = ProductPage::default().decide(put(page("teas", &[]), &[]), &ctx).unwrap_err();
    assert_eq!(refused, Rejection::CatalogueUnavailable);
    assert!(ProductPage::is_momentary(&refused));
}

#[test]
fn what_stands_on_a_page_is_bounded_and_named_once() {
    let with = |change: fn(&mut Content)| {
        let mut content = page("teas", &["a"]).into_content();
        change(&mut content);
        Page::new(content)
    };
    let twice = with(|content| content.variants.push("a".parse().unwrap()));
    assert_eq!(twice, Err(PageError::VariantTwice { sku: sku("a") }));
    let twice = with(|content| content.categories = vec!["c".parse().unwrap(); 2]);
    assert!(matches!(twice, Err(PageError::CategoryTwice { .. })));
    let many = with(|content| {
        content.variants = (0..101).map(|n| format!("s{n}").parse().unwrap()).collect();
    });
    assert!(matches!(many, Err(PageError::TooMany { n_given: 101, max: 100, .. })));
    for bad in ["", "http://a/b", "//a/b", "https://a b", "javascript:x", "/é"] {
        assert_eq!(bad.parse::<MediaUrl>(), Err(InvalidMediaUrl), "{bad}");
    }
    assert!("/media/tea.jpg".parse::<MediaUrl>().is_ok());
}

/// Pages and SKUs that tell each other, with a book that may lag behind them.
#[derive(Default)]
struct World {
    pages: BTreeMap<Slug, ProductPage>,
    products: BTreeMap<SkuCode, Product>,
    under_way: std::collections::VecDeque<(EntityRef, Vec<u8>)>,
    listings: Vec<Listing>,
}

impl World {
    fn send(&mut self, slug: &str, command: Command) {
        let slug: Slug = slug.parse().unwrap();
        let book = PriceBook::new(PriceBook::empty().default_currency(), self.listings.clone());
        let catalogue = Catalogue { index: 1, content: Arc::new(book.unwrap()) };
        let me = EntityRef { kind: ProductPage::KIND, key: slug.key() };
        let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue: Ok(&catalogue) };
        let entity = self.pages.entry(slug).or_default();
        let Ok(decision) = entity.decide(command, &ctx) else { return };
        let mut replica = ProductPage::from_record(&entity.to_record()).unwrap();
        for event in &decision.events {
            entity.apply(event);
            replica.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
        }
        assert_eq!(entity, &replica);
        assert_eq!(decision.reply, entity.view(Query::Page, &ctx));
        for effect in decision.effects {
            let Effect::Tell { to, command } = effect else { panic!("{effect:?}") };
            self.under_way.push_back((to, command));
        }
    }

    fn deliver(&mut self) {
        let Some((to, command)) = self.under_way.pop_front() else { return };
        let code = self.sku_of(&to);
        let catalogue = Err(NoCatalogue::Absent);
        let ctx = Context { now: NOON, me: &to, entropy: [0; 32], catalogue };
        let product = self.products.entry(code).or_default();
        let command = product::Command::from_bytes(&command).unwrap();
        let Ok(decision) = product.decide(command, &ctx) else { return };
        decision.events.iter().for_each(|event| product.apply(event));
    }

    fn sku_of(&self, to: &EntityRef) -> SkuCode {
        let codes = (0..4).map(|n| sku(&format!("s{n}")));
        codes.into_iter().find(|code| code.key() == to.key).unwrap()
    }

    fn follow(&mut self) {
        self.listings = self.products.values().filter_map(|it| it.listing.clone()).collect();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put { slug: usize, variants: Vec<usize> },
    Remove { slug: usize },
    Deliver,
    Follow,
}

fn step() -> impl Strategy<Value = Step> {
    let variants = prop::sample::subsequence((0..4).collect::<Vec<_>>(), 0..4);
    prop_oneof![
        4 => (0..3_usize, variants).prop_map(|(slug, variants)| Step::Put { slug, variants }),
        1 => (0..3_usize).prop_map(|slug| Step::Remove { slug }),
        6 => Just(Step::Deliver),
        3 => Just(Step::Follow),
    ]
}

proptest! {
    #[test]
    fn a_sku_for_sale_is_on_one_page_and_that_page_names_it(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let slugs = ["a", "b", "c"];
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Put { slug, variants } => {
                    let codes: Vec<_> = variants.iter().map(|n| format!("s{n}")).collect();
                    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                    let given: Vec<_> = codes.iter().map(|code| (*code, slugs[slug])).collect();
                    world.send(slugs[slug], put(page(slugs[slug], &codes), &given));
                }
                Step::Remove { slug } => world.send(slugs[slug], Command::Remove),
                Step::Deliver => world.deliver(),
                Step::Follow => world.follow(),
            }
        }
        while !world.under_way.is_empty() {
            world.deliver();
        }
        for (code, product) in &world.products {
            let Some(listing) = &product.listing else { continue };
            let page = &world.pages[listing.page().unwrap()];
            prop_assert!(page.variants().contains(code), "{code} is for sale on no page");
        }
    }
}
