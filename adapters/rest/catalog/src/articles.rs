//! Articles: reading what one's plan opens, and administering them.

use std::sync::Arc;

use api::{Body, Caller, Created, Done, IfMatch, Result, Tag, Text, Versioned};
use catalog::{
    Article, ArticleSpec, Audience, CatalogStore, Tier,
    articles::{self, Shown},
};
use kernel::{
    ArticleId, CategoryId, Uuid, text,
    text::{ArticleBody, ArticleTitle},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use ports::Env;

pub struct ArticlesApi {
    pub env: Env,
    pub store: Arc<dyn CatalogStore>,
    pub audience: Arc<dyn Audience>,
}

/// What an administrator says of an article.
#[derive(Clone, Debug, Object)]
#[oai(remote = "ArticleSpec", example)]
pub struct ArticleRequest {
    #[oai(rename = "category_id")]
    category: CategoryId,
    title: Text<ArticleTitle>,
    /// What everybody reads of it.
    summary: Text<text::ArticleSummary>,
    /// In Markdown.
    body: Text<ArticleBody>,
    /// The lowest tier of the category whose subscribers read the whole of it;
    /// everybody does without one.
    minimum_tier: Option<Tier>,
    /// Only administrators see one that is not.
    published: bool,
}

impl Example for ArticleRequest {
    fn example() -> Self {
        Self {
            category: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0001).into(),
            title: "When does it begin to work?".into(),
            summary: "What to expect in the first months.".into(),
            body: "Hair grows slowly: look again after *three months*.".into(),
            minimum_tier: Some(Tier::Standard),
            published: true,
        }
    }
}

/// An article about a category.
#[derive(Debug, Object)]
#[oai(rename = "Article", remote = "Article")]
pub struct ArticleView {
    id: ArticleId,
    #[oai(flatten)]
    spec: ArticleRequest,
    /// Counts the changes; it is the `ETag` too.
    version: i64,
}

/// An article in a list.
#[derive(Debug, Object)]
pub struct ArticleSummary {
    id: ArticleId,
    title: String,
    summary: String,
    /// The lowest tier of the category whose subscribers read it; absent where
    /// everybody does.
    minimum_tier: Option<Tier>,
    published: bool,
    /// Whether the caller reads the whole of it.
    open: bool,
}

/// The articles of a category, by title.
#[derive(Debug, Object)]
pub struct Articles {
    articles: Vec<ArticleSummary>,
}

impl From<Shown> for ArticleSummary {
    fn from(Shown { article: Article { id, spec, .. }, open }: Shown) -> Self {
        let ArticleSpec { title, summary, minimum_tier, published, .. } = spec;
        Self { id, title, summary, minimum_tier, published, open }
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
    async fn list(&self, caller: Caller, id: Path<CategoryId>) -> Result<Json<Articles>> {
        let articles =
            articles::of_category(&*self.store, &*self.audience, caller.actor(), id.0).await?;
        Ok(Json(Articles { articles: articles.into_iter().map(Into::into).collect() }))
    }

    /// Read an article
    ///
    /// Takes a subscription in force of the article's category whose plan is of
    /// the article's tier or above it, where it has one; otherwise the answer
    /// is 403 `catalog.article_locked`.
    #[oai(path = "/api/articles/:id", method = "get", operation_id = "readArticle")]
    async fn read(&self, caller: Caller, id: Path<ArticleId>) -> Result<Versioned<ArticleView>> {
        let read = articles::read(&*self.store, &*self.audience, caller.actor(), id.0).await?;
        Ok(Versioned::of(read))
    }

    /// Create an article
    ///
    /// Takes `catalog.administer`.
    #[oai(path = "/api/admin/articles", method = "post", operation_id = "createArticle")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<ArticleRequest>,
    ) -> Result<Created<ArticleView>> {
        let spec = body.0.into();
        let made = articles::create(&self.env, &*self.store, caller.actor(), spec).await?;
        Ok(Created::under("/api/articles", made))
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
        id: Path<ArticleId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<ArticleRequest>,
    ) -> Result<Versioned<ArticleView>> {
        let (store, spec) = (&*self.store, body.0.into());
        let revised = articles::revise(store, caller.actor(), id.0, seen.0, spec).await?;
        Ok(Versioned::of(revised))
    }

    /// Delete an article
    ///
    /// Takes `catalog.administer`, and the version that was read as `If-Match`.
    #[oai(path = "/api/admin/articles/:id", method = "delete", operation_id = "deleteArticle")]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<ArticleId>,
        #[oai(name = "If-Match")] seen: IfMatch,
    ) -> Result<Done> {
        articles::delete(&*self.store, caller.actor(), id.0, seen.0).await?;
        Ok(Done::Done)
    }
}
