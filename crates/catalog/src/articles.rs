//! Articles: what subscribers of a category read about their treatment. Some are for
//! everybody, others belong to a tier and those above it. Writing them takes
//! `catalog.administer`.

use kernel::{
    Actor, ArticleId, CategoryId, Permission, Seen, TextKind as _,
    text::{ArticleBody, ArticleSummary, ArticleTitle},
};
use ports::{Aggregate, Env, repository::get, repository::lock};

use crate::{Audience, CatalogError, CatalogStore, Category, Standing, Tier};

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("article")]
pub struct Article {
    pub id: ArticleId,
    pub spec: ArticleSpec,
    pub version: i64,
}

/// What an administrator writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArticleSpec {
    pub category: CategoryId,
    pub title: String,
    /// What everybody reads of it, to know what it is about.
    pub summary: String,
    /// In Markdown.
    pub body: String,
    /// The lowest tier of the category whose subscribers read it; everybody does without
    /// one.
    pub minimum_tier: Option<Tier>,
    /// Only administrators see one that is not.
    pub published: bool,
}

impl Article {
    pub fn new(id: ArticleId, spec: ArticleSpec) -> Result<Self, CatalogError> {
        let mut errors = Vec::new();
        ArticleTitle::check(&mut errors, "title", &spec.title);
        ArticleSummary::check(&mut errors, "summary", &spec.summary);
        ArticleBody::check(&mut errors, "body", &spec.body);
        if errors.is_empty() {
            Ok(Self { id, spec, version: 1 })
        } else {
            Err(CatalogError::Invalid(errors))
        }
    }

    pub fn revise(&mut self, spec: ArticleSpec) -> Result<(), CatalogError> {
        self.spec = Self::new(self.id, spec)?.spec;
        Ok(())
    }

    /// Whether somebody reads the whole of it: a subscription in force of its category
    /// has to have its tier or a higher one.
    pub fn is_open_to(&self, standing: &Standing) -> bool {
        self.spec.minimum_tier.is_none_or(|minimum| {
            standing.tiers.get(&self.spec.category).is_some_and(|tier| *tier >= minimum)
        })
    }
}

/// An article as its reader finds it: whoever it is not open to reads its title and
/// summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub article: Article,
    pub open: bool,
}

/// The published articles of a category, by title. Administrators see those that are not
/// published among them, and read all of them.
pub async fn of_category(
    store: &dyn CatalogStore,
    audience: &dyn Audience,
    actor: &Actor,
    category: CategoryId,
) -> Result<Vec<Shown>, CatalogError> {
    let writes = actor.may(Permission::CatalogAdminister);
    let standing = standing(audience, actor, writes).await?;
    let mut tx = store.begin(actor).await?;
    if !get::<Category>(tx.as_mut(), category).await?.is_shown_to(actor) {
        return Err(CatalogError::no::<Category>());
    }
    let articles = tx.articles(category).await?;
    let shown = articles.into_iter().filter(|article| article.spec.published || writes);
    Ok(shown
        .map(|article| Shown { open: writes || article.is_open_to(&standing), article })
        .collect())
}

/// The whole of an article, for those to whom it is open.
pub async fn read(
    store: &dyn CatalogStore,
    audience: &dyn Audience,
    actor: &Actor,
    id: ArticleId,
) -> Result<Article, CatalogError> {
    let writes = actor.may(Permission::CatalogAdminister);
    let standing = standing(audience, actor, writes).await?;
    let article = get::<Article>(store.begin(actor).await?.as_mut(), id).await?;
    match article.spec.minimum_tier {
        _ if !article.spec.published && !writes => Err(CatalogError::no::<Article>()),
        Some(tier) if !writes && !article.is_open_to(&standing) => {
            Err(CatalogError::ArticleLocked(tier))
        }
        _ => Ok(article),
    }
}

/// Who writes articles reads them whatever they subscribe to.
async fn standing(
    audience: &dyn Audience,
    actor: &Actor,
    writes: bool,
) -> Result<Standing, CatalogError> {
    Ok(if writes { Standing::default() } else { audience.standing(actor).await? })
}

pub async fn create(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    spec: ArticleSpec,
) -> Result<Article, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let article = Article::new(env.fresh(), spec)?;
    let mut tx = store.begin(actor).await?;
    get::<Category>(tx.as_mut(), article.spec.category).await?;
    tx.insert(&article).await?;
    tx.commit().await?;
    Ok(article)
}

/// `seen` is what the caller read.
pub async fn revise(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: ArticleId,
    seen: impl Into<Seen>,
    spec: ArticleSpec,
) -> Result<Article, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut article = lock::<Article>(tx.as_mut(), id, &seen.into()).await?;
    article.revise(spec)?;
    get::<Category>(tx.as_mut(), article.spec.category).await?;
    tx.save(&mut article).await?;
    tx.commit().await?;
    Ok(article.into_inner())
}

/// `seen` is what the caller read.
pub async fn delete(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: ArticleId,
    seen: impl Into<Seen>,
) -> Result<(), CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let article = lock::<Article>(tx.as_mut(), id, &seen.into()).await?;
    tx.delete(article).await?;
    Ok(tx.commit().await?)
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
        Article::new(ArticleId(Uuid::nil()), spec(minimum_tier)).unwrap()
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
    fn every_broken_field_is_named() {
        let bad = ArticleSpec { title: " ".into(), body: "\u{7}".into(), ..spec(None) };
        let refused = article(None).revise(bad);
        let Err(CatalogError::Invalid(fields)) = refused else { panic!("it was taken") };
        let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["title", "body"]);
    }
}
