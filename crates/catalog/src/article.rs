//! Articles: what subscribers of a category read about their treatment. Some
//! are for everybody, others belong to a tier and those above it.

use kernel::{
    ArticleId, CategoryId, TextKind as _,
    text::{ArticleBody, ArticleSummary, ArticleTitle},
};

use crate::{CatalogError, Tier, flag::Standing};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    pub id: ArticleId,
    pub category: CategoryId,
    pub title: String,
    /// What everybody reads of it, to know what it is about.
    pub summary: String,
    /// In Markdown.
    pub body: String,
    /// The lowest tier of the category whose subscribers read it; everybody
    /// does without one.
    pub minimum_tier: Option<Tier>,
    /// Only administrators see one that is not.
    pub published: bool,
    pub version: i64,
}

/// What an administrator says of an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArticleSpec {
    pub category: CategoryId,
    pub title: String,
    pub summary: String,
    pub body: String,
    pub minimum_tier: Option<Tier>,
    pub published: bool,
}

impl Article {
    pub fn create(id: ArticleId, spec: ArticleSpec) -> Result<Self, CatalogError> {
        check(&spec)?;
        let ArticleSpec { category, title, summary, body, minimum_tier, published } = spec;
        Ok(Self { id, category, title, summary, body, minimum_tier, published, version: 1 })
    }

    /// The same article with other words; `None` where nothing would change.
    pub fn revise(&self, spec: ArticleSpec) -> Result<Option<Self>, CatalogError> {
        let version = self.version;
        let revised = Self { version, ..Self::create(self.id, spec)? };
        Ok((revised != *self).then_some(Self { version: version + 1, ..revised }))
    }

    /// Whether somebody reads the whole of it: a subscription in force of its
    /// category has to have its tier or a higher one.
    pub fn is_open_to(&self, standing: &Standing) -> bool {
        self.minimum_tier.is_none_or(|minimum| {
            standing.tiers.get(&self.category).is_some_and(|tier| *tier >= minimum)
        })
    }
}

fn check(spec: &ArticleSpec) -> Result<(), CatalogError> {
    let mut errors = Vec::new();
    ArticleTitle::check(&mut errors, "title", &spec.title);
    ArticleSummary::check(&mut errors, "summary", &spec.summary);
    ArticleBody::check(&mut errors, "body", &spec.body);
    if errors.is_empty() { Ok(()) } else { Err(CatalogError::Invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use proptest::prelude::*;

    use super::*;

    const HERE: CategoryId = CategoryId(Uuid::from_u128(1));
    const ELSEWHERE: CategoryId = CategoryId(Uuid::from_u128(2));

    fn spec(minimum_tier: Option<Tier>) -> ArticleSpec {
        ArticleSpec {
            category: HERE,
            title: "When does it begin to work?".into(),
            summary: "What to expect in the first months.".into(),
            body: "After *three* months.\n\nNot sooner.".into(),
            minimum_tier,
            published: true,
        }
    }

    fn article(minimum_tier: Option<Tier>) -> Article {
        Article::create(ArticleId(Uuid::nil()), spec(minimum_tier)).unwrap()
    }

    fn tiers() -> impl Strategy<Value = Tier> {
        prop::sample::select(vec![Tier::Basic, Tier::Standard, Tier::Premium])
    }

    proptest! {
        #[test]
        fn a_tier_opens_what_is_its_own_and_below_in_its_category_alone(
            minimum in tiers(), held in tiers(),
        ) {
            let article = article(Some(minimum));
            let in_force = |category| Standing {
                tiers: [(category, held)].into(),
                ..Standing::default()
            };
            prop_assert_eq!(article.is_open_to(&in_force(HERE)), held >= minimum);
            prop_assert!(!article.is_open_to(&in_force(ELSEWHERE)));
            prop_assert!(!article.is_open_to(&Standing::default()));
        }
    }

    #[test]
    fn one_without_a_tier_is_open_to_everybody() {
        assert!(article(None).is_open_to(&Standing::default()));
    }

    #[test]
    fn every_broken_field_is_named_and_a_change_counts_the_version() {
        let before = article(None);
        assert_eq!(before.revise(spec(None)).unwrap(), None);
        assert_eq!(before.revise(spec(Some(Tier::Premium))).unwrap().unwrap().version, 2);
        let bad = ArticleSpec { title: " ".into(), body: "\u{7}".into(), ..spec(None) };
        let Err(CatalogError::Invalid(fields)) = before.revise(bad) else { panic!("it was taken") };
        let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["title", "body"]);
    }
}
