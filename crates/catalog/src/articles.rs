//! Reading articles, and what administrators do with them. Writing takes
//! `catalog.administer`.

use kernel::{Actor, ArticleId, CategoryId, Permission, Seen};
use ports::{AuditAction, AuditEntry, Env};

use crate::{
    Article, ArticleSpec, Audience, CatalogError, CatalogStore, CatalogTx, Revision, Standing,
    use_cases::{is_conflict, lost_race, record},
};

/// An article as its reader finds it: whoever it is not open to reads its title
/// and summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub article: Article,
    pub open: bool,
}

/// The published articles of a category, by title. Administrators see those
/// that are not published among them, and read all of them.
pub async fn of_category(
    store: &dyn CatalogStore,
    audience: &dyn Audience,
    actor: &Actor,
    category: CategoryId,
) -> Result<Vec<Shown>, CatalogError> {
    let writes = actor.may(Permission::CatalogAdminister);
    let standing = standing(audience, actor, writes).await?;
    let mut tx = store.begin(actor).await?;
    let found = tx.category(category).await?;
    if !found.is_some_and(|category| category.active || writes) {
        return Err(CatalogError::CategoryNotFound);
    }
    let articles = tx.articles(category).await?;
    let shown = articles.into_iter().filter(|article| article.published || writes);
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
    let found = store.begin(actor).await?.article(id).await?;
    let article =
        found.filter(|found| found.published || writes).ok_or(CatalogError::ArticleNotFound)?;
    match article.minimum_tier {
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
    let article = Article::create(env.fresh(), spec)?;
    let mut tx = store.begin(actor).await?;
    if tx.category(article.category).await?.is_none() {
        return Err(CatalogError::CategoryNotFound);
    }
    tx.insert_article(&article).await?;
    record(tx.as_mut(), None, Revision::of_article(&article), None).await?;
    tx.commit().await?;
    Ok(article)
}

/// Creates the article under a known id unless it is there already.
pub async fn seed(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: ArticleId,
    spec: ArticleSpec,
) -> Result<(), CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    if tx.article(id).await?.is_some() {
        return Ok(());
    }
    let article = Article::create(id, spec)?;
    tx.insert_article(&article).await?;
    record(tx.as_mut(), None, Revision::of_article(&article), None).await?;
    tx.commit().await?;
    Ok(())
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
    let seen = seen.into();
    let (mut tx, current) = current(store, actor, id, &seen).await?;
    let Some(article) = current.revise(spec)? else { return Ok(current) };
    if tx.category(article.category).await?.is_none() {
        return Err(CatalogError::CategoryNotFound);
    }
    let before = Revision::of_article(&current);
    if let Err(error) = tx.save_article(&article).await {
        drop(tx);
        return Err(race(store, actor, &seen, before, error.into()).await?);
    }
    record(tx.as_mut(), Some(before), Revision::of_article(&article), None).await?;
    tx.commit().await?;
    Ok(article)
}

/// `seen` is what the caller read.
pub async fn delete(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: ArticleId,
    seen: impl Into<Seen>,
) -> Result<(), CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let seen = seen.into();
    let (mut tx, current) = current(store, actor, id, &seen).await?;
    let before = Revision::of_article(&current);
    if let Err(error) = tx.delete_article(&current).await {
        drop(tx);
        return Err(race(store, actor, &seen, before, error.into()).await?);
    }
    tx.keep_revision(&before).await?;
    let entry = AuditEntry::new(AuditAction::Delete, before.kind.into(), before.entry)
        .detail("version", before.version)
        .detail("before", before.as_json());
    tx.audit(entry);
    tx.commit().await?;
    Ok(())
}

/// The article as it is, if the caller has seen it so.
async fn current(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: ArticleId,
    seen: &Seen,
) -> Result<(Box<dyn CatalogTx>, Article), CatalogError> {
    let mut tx = store.begin(actor).await?;
    let current = tx.article(id).await?.ok_or(CatalogError::ArticleNotFound)?;
    if !seen.admits(current.version) {
        return Err(lost_race(tx.as_mut(), seen, &Revision::of_article(&current)).await?);
    }
    Ok((tx, current))
}

/// What became of an article that another change reached first.
async fn race(
    store: &dyn CatalogStore,
    actor: &Actor,
    seen: &Seen,
    before: Revision,
    error: CatalogError,
) -> Result<CatalogError, CatalogError> {
    if !is_conflict(&error) {
        return Ok(error);
    }
    let mut tx = store.begin(actor).await?;
    let now = tx.article(before.entry.into()).await?.ok_or(CatalogError::ArticleNotFound)?;
    Ok(Revision::of_article(&now).lost_race(seen, Some(&before)))
}
