//! Articles: reading what one's plan opens, and administering them.

use kernel::{
    text,
    text::{ArticleBody, ArticleTitle},
};
use std::sync::Arc;

use catalog::{
    Article, ArticleSpec, Audience, CatalogStore,
    articles::{self, Shown},
};
use kernel::Uuid;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
    payload::Json,
    types::Example,
};
use ports::Env;

use super::TierWord;
use crate::core::{Body, Caller, Created, Done, Problem, Tag, Text, Versioned, seen_version};

pub struct ArticlesApi {
    pub env: Env,
    pub store: Arc<dyn CatalogStore>,
    pub audience: Arc<dyn Audience>,
}

/// What an administrator says of an article.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct ArticleRequest {
    category_id: Uuid,
    title: Text<ArticleTitle>,
    /// What everybody reads of it.
    summary: Text<text::ArticleSummary>,
    /// In Markdown.
    body: Text<ArticleBody>,
    /// The lowest tier of the category whose subscribers read the whole of it;
    /// everybody does without one.
    minimum_tier: Option<TierWord>,
    /// Only administrators see one that is not.
    published: bool,
}

impl Example for ArticleRequest {
    fn example() -> Self {
        Self {
            category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0001),
            title: "When does it begin to work?".into(),
            summary: "What to expect in the first months.".into(),
            body: "Hair grows slowly: look again after *three months*.".into(),
            minimum_tier: Some(TierWord::Standard),
            published: true,
        }
    }
}

impl From<ArticleRequest> for ArticleSpec {
    fn from(request: ArticleRequest) -> Self {
        Self {
            category: request.category_id.into(),
            title: request.title.into(),
            summary: request.summary.into(),
            body: request.body.into(),
            minimum_tier: request.minimum_tier.map(Into::into),
            published: request.published,
        }
    }
}

/// An article about a category.
#[derive(Debug, Object)]
#[oai(rename = "Article")]
pub struct ArticleView {
    id: Uuid,
    category_id: Uuid,
    title: String,
    summary: String,
    /// In Markdown.
    body: String,
    /// The lowest tier of the category whose subscribers read it; absent where
    /// everybody does.
    minimum_tier: Option<TierWord>,
    published: bool,
    /// Counts the changes; it is the `ETag` too.
    version: i64,
}

/// An article in a list.
#[derive(Debug, Object)]
pub struct ArticleSummary {
    id: Uuid,
    title: String,
    summary: String,
    /// The lowest tier of the category whose subscribers read it; absent where
    /// everybody does.
    minimum_tier: Option<TierWord>,
    published: bool,
    /// Whether the caller reads the whole of it.
    open: bool,
}

/// The articles of a category, by title.
#[derive(Debug, Object)]
pub struct Articles {
    articles: Vec<ArticleSummary>,
}

impl From<Article> for ArticleView {
    fn from(article: Article) -> Self {
        Self {
            id: article.id.uuid(),
            category_id: article.category.uuid(),
            title: article.title,
            summary: article.summary,
            body: article.body,
            minimum_tier: article.minimum_tier.map(Into::into),
            published: article.published,
            version: article.version,
        }
    }
}

impl From<Shown> for ArticleSummary {
    fn from(Shown { article, open }: Shown) -> Self {
        Self {
            id: article.id.uuid(),
            title: article.title,
            summary: article.summary,
            minimum_tier: article.minimum_tier.map(Into::into),
            published: article.published,
            open,
        }
    }
}

#[OpenApi(tag = "Tag::Catalog")]
impl ArticlesApi {
    /// List the articles of a category
    ///
    /// For everybody who is signed in: titles and summaries, and whether the
    /// caller's plan opens the whole. Administrators find those that are not
    /// published too.
    #[oai(path = "/api/categories/:id/articles", method = "get", operation_id = "listArticles")]
    async fn list(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<Articles>, Problem> {
        let (store, audience) = (self.store.as_ref(), self.audience.as_ref());
        let shown = articles::of_category(store, audience, caller.actor(), id.0.into()).await?;
        Ok(Json(Articles { articles: shown.into_iter().map(Into::into).collect() }))
    }

    /// Read an article
    ///
    /// Takes a subscription in force of the article's category whose plan is of
    /// the article's tier or above it, where it has one; otherwise the answer
    /// is 403 `catalog.article_locked`.
    #[oai(path = "/api/articles/:id", method = "get", operation_id = "readArticle")]
    async fn read(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Versioned<ArticleView>, Problem> {
        let (store, audience) = (self.store.as_ref(), self.audience.as_ref());
        let article = articles::read(store, audience, caller.actor(), id.0.into()).await?;
        Ok(Versioned::at(article.version, article))
    }

    /// Create an article
    ///
    /// Takes `catalog.administer`.
    #[oai(path = "/api/admin/articles", method = "post", operation_id = "createArticle")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<ArticleRequest>,
    ) -> Result<Created<ArticleView>, Problem> {
        let (store, spec) = (self.store.as_ref(), body.0.into());
        let article = articles::create(&self.env, store, caller.actor(), spec).await?;
        let place = format!("/api/articles/{}", article.id);
        Ok(Created::at(place, article.version, article))
    }

    /// Change an article
    ///
    /// Takes `catalog.administer`. `If-Match` names the version that was read;
    /// when the article has changed since, the answer is 412 and names what
    /// changed.
    #[oai(path = "/api/admin/articles/:id", method = "put", operation_id = "updateArticle")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: Header<String>,
        body: Body<ArticleRequest>,
    ) -> Result<Versioned<ArticleView>, Problem> {
        let (seen, spec) = (seen_version(&if_match.0)?, body.0.into());
        let (store, id) = (self.store.as_ref(), id.0.into());
        let article = articles::revise(store, caller.actor(), id, seen, spec).await?;
        Ok(Versioned::at(article.version, article))
    }

    /// Delete an article
    ///
    /// Takes `catalog.administer`, and the version that was read as `If-Match`.
    #[oai(path = "/api/admin/articles/:id", method = "delete", operation_id = "deleteArticle")]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: Header<String>,
    ) -> Result<Done, Problem> {
        let seen = seen_version(&if_match.0)?;
        let (store, id) = (self.store.as_ref(), id.0.into());
        articles::delete(store, caller.actor(), id, seen).await?;
        Ok(Done::Done)
    }
}
