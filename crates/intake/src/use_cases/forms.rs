//! Forms and their versions: read by everyone, written by administrators.

use kernel::{
    Actor, CategoryId, FieldError, FormId, FormVersionId, Page, PageRequest, Permission, Seen,
};
use ports::{AuditAction, AuditEntry, Env, Locked, PortError, repository::get, repository::lock};

use crate::{
    Form, FormDefinition, FormVersion, IntakeError, IntakeStore, IntakeTx, Surroundings,
    VersionStatus,
    check::{check, check_size},
    diff::{ItemChange, diff},
};

/// The rule that of the versions of a form one is published.
const PUBLISHED_KEY: &str = "form_published_key";

/// The form that a patient of the category answers now.
pub async fn current_form(
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    category: CategoryId,
) -> Result<FormVersion, IntakeError> {
    if !surroundings.category_is_active(category).await? {
        return Err(IntakeError::CategoryNotFound);
    }
    let mut tx = store.begin(actor).await?;
    tx.published_version(category).await?.ok_or(IntakeError::FormNotFound)
}

/// Any version that is or was published; a draft of a version exists for
/// administrators only.
pub async fn form_version(
    store: &dyn IntakeStore,
    actor: &Actor,
    id: FormVersionId,
) -> Result<FormVersion, IntakeError> {
    let version = get::<FormVersion>(store.begin(actor).await?.as_mut(), id).await?;
    if version.status != VersionStatus::Draft || actor.may(Permission::FormAdminister) {
        Ok(version)
    } else {
        Err(IntakeError::no::<FormVersion>())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewFormVersion {
    pub category: CategoryId,
    /// Names the form where the category has none yet.
    pub slug: String,
    pub definition: FormDefinition,
}

/// Adds a draft version to the form of the category, and makes the form with
/// its first version.
pub async fn create_version(
    env: &Env,
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    new: NewFormVersion,
) -> Result<FormVersion, IntakeError> {
    actor.require(Permission::FormAdminister)?;
    if !surroundings.category_is_active(new.category).await? {
        return Err(IntakeError::CategoryNotFound);
    }
    let mut tx = store.begin(actor).await?;
    let ids = (env.fresh(), env.fresh());
    let version = add_version(env, tx.as_mut(), new, ids).await?;
    tx.commit().await?;
    Ok(version)
}

/// Publishes a draft version; the version before it is retired. A version that
/// no longer asks what a rule in force reads is refused.
pub async fn publish_version(
    env: &Env,
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    id: FormVersionId,
    seen: Option<i64>,
) -> Result<FormVersion, IntakeError> {
    let version = administered_version(store, actor, id).await?;
    let asked_about = version.version;
    // The other contexts are asked between two transactions, so that no call
    // holds one connection while it waits for another.
    let errors = surroundings.objections(version.form.category, &version.definition).await?;
    if version.status == VersionStatus::Draft && !errors.is_empty() {
        return Err(IntakeError::InvalidDefinition(errors));
    }
    let mut tx = store.begin(actor).await?;
    let mut version = lock::<FormVersion>(tx.as_mut(), id, &Seen::Any).await?;
    // What is published is what the other contexts were asked about.
    version.expect(seen.unwrap_or(asked_about), None)?;
    version.expect(asked_about, None)?;
    put_in_place(env, tx.as_mut(), &mut version).await?;
    tx.commit().await?;
    Ok(version.into_inner())
}

/// The versions of all forms, or of one category's, for administrators.
pub async fn form_versions(
    store: &dyn IntakeStore,
    actor: &Actor,
    category: Option<CategoryId>,
    page: &PageRequest,
) -> Result<Page<FormVersion>, IntakeError> {
    actor.require(Permission::FormAdminister)?;
    Ok(store.begin(actor).await?.versions(category, page).await?)
}

/// One version for an administrator, whatever its status.
pub async fn administered_version(
    store: &dyn IntakeStore,
    actor: &Actor,
    id: FormVersionId,
) -> Result<FormVersion, IntakeError> {
    actor.require(Permission::FormAdminister)?;
    Ok(get(store.begin(actor).await?.as_mut(), id).await?)
}

/// Makes a draft that says what another version says, to be edited.
pub async fn draft_from(
    env: &Env,
    store: &dyn IntakeStore,
    actor: &Actor,
    id: FormVersionId,
) -> Result<FormVersion, IntakeError> {
    actor.require(Permission::FormAdminister)?;
    let mut tx = store.begin(actor).await?;
    let from = get::<FormVersion>(tx.as_mut(), id).await?;
    let new = NewFormVersion {
        category: from.form.category,
        slug: from.form.slug,
        definition: from.definition,
    };
    let ids = (from.form.id, env.fresh());
    let version = add_version(env, tx.as_mut(), new, ids).await?;
    tx.commit().await?;
    Ok(version)
}

/// What an author writes over a draft.
#[derive(Clone, Debug, PartialEq)]
pub struct FormChange {
    /// The revision that was read.
    pub seen: i64,
    pub definition: FormDefinition,
    /// The published version whose changes the draft has taken in.
    pub based_on: Option<FormVersionId>,
}

/// Changes a draft, if its revision is the one that was read.
pub async fn revise_version(
    env: &Env,
    store: &dyn IntakeStore,
    actor: &Actor,
    id: FormVersionId,
    change: FormChange,
) -> Result<FormVersion, IntakeError> {
    actor.require(Permission::FormAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut version = lock::<FormVersion>(tx.as_mut(), id, &Seen::Any).await?;
    let changes = diff(&version.definition, &change.definition).len();
    let FormChange { seen, definition, based_on } = change;
    version.revise(seen, definition, based_on, env.now())?;
    tx.save(&mut version).await?;
    tx.audit(entry(AuditAction::Update, &version).detail("changes", changes));
    tx.commit().await?;
    Ok(version.into_inner())
}

/// Everything for which the version could not be published now; it changes
/// nothing.
pub async fn validate_version(
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    id: FormVersionId,
) -> Result<Vec<FieldError>, IntakeError> {
    let version = administered_version(store, actor, id).await?;
    let mut errors = check(&version.definition);
    errors.extend(surroundings.objections(version.form.category, &version.definition).await?);
    Ok(errors)
}

/// What a version has otherwise than another one, which is the version that it
/// is based on where none is named.
pub async fn compare_versions(
    store: &dyn IntakeStore,
    actor: &Actor,
    id: FormVersionId,
    against: Option<FormVersionId>,
) -> Result<Vec<ItemChange>, IntakeError> {
    let new = administered_version(store, actor, id).await?;
    let old = match against.or(new.based_on) {
        Some(old) => administered_version(store, actor, old).await?.definition,
        None => {
            FormDefinition { title: String::new(), description: None, items: vec![], rules: vec![] }
        }
    };
    Ok(diff(&old, &new.definition))
}

/// Publishes a form under known ids. `versions` are those of every version
/// that was ever sown, this one's last: it takes the place of one that was sown
/// before, and what an administrator published since is left alone.
pub async fn seed_form(
    env: &Env,
    store: &dyn IntakeStore,
    actor: &Actor,
    form: FormId,
    versions: &[FormVersionId],
    new: NewFormVersion,
) -> Result<FormVersion, IntakeError> {
    actor.require(Permission::FormAdminister)?;
    let version = *versions.last().ok_or_else(IntakeError::no::<FormVersion>)?;
    let mut tx = store.begin(actor).await?;
    if let Some(current) = tx.published_version(new.category).await?
        && (current.id == version || !versions.contains(&current.id))
    {
        return Ok(current);
    }
    let sown: Option<FormVersion> = tx.find(version).await?;
    if sown.is_none() {
        add_version(env, tx.as_mut(), new, (form, version)).await?;
    }
    let mut version = lock::<FormVersion>(tx.as_mut(), version, &Seen::Any).await?;
    put_in_place(env, tx.as_mut(), &mut version).await?;
    tx.commit().await?;
    Ok(version.into_inner())
}

async fn add_version(
    env: &Env,
    tx: &mut dyn IntakeTx,
    new: NewFormVersion,
    (form_id, version_id): (FormId, FormVersionId),
) -> Result<FormVersion, IntakeError> {
    let too_large = check_size(&new.definition);
    if !too_large.is_empty() {
        return Err(IntakeError::InvalidDefinition(too_large));
    }
    let form = match tx.form_of_category(new.category).await? {
        Some(form) => form,
        None => {
            check_slug(&new.slug)?;
            let form = Form { id: form_id, category: new.category, slug: new.slug };
            tx.insert_form(&form).await?;
            form
        }
    };
    let current = tx.published_version(new.category).await?;
    let version = FormVersion {
        id: version_id,
        number: tx.latest_number(form.id).await? + 1,
        form,
        status: VersionStatus::Draft,
        definition: new.definition,
        based_on: current.map(|current| current.id),
        version: 1,
        created_at: env.now(),
        changed_at: env.now(),
    };
    tx.insert(&version).await?;
    tx.audit(entry(AuditAction::Create, &version));
    Ok(version)
}

async fn put_in_place(
    env: &Env,
    tx: &mut dyn IntakeTx,
    version: &mut Locked<FormVersion>,
) -> Result<(), IntakeError> {
    let mut current = match tx.published_version(version.form.category).await? {
        Some(current) => Some(lock::<FormVersion>(tx, current.id, &Seen::Any).await?),
        None => None,
    };
    version.publish(current.as_deref_mut(), env.now())?;
    if let Some(retired) = &mut current {
        tx.save(retired).await?;
    }
    let at_once = |error: PortError| error.at(PUBLISHED_KEY, IntakeError::ChangedAtOnce);
    tx.save(version).await.map_err(at_once)?;
    let before = current.map(|retired| retired.id.to_string());
    tx.audit(entry(AuditAction::Update, version).detail("retired", before));
    Ok(())
}

fn entry(action: AuditAction, version: &FormVersion) -> AuditEntry {
    AuditEntry::new(action, "form_version", version.id)
        .detail("form", version.form.slug.as_str())
        .detail("number", version.number)
        .detail("published", version.is_published())
}

fn check_slug(slug: &str) -> Result<(), IntakeError> {
    let valid = (2..=60).contains(&slug.len())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if valid {
        return Ok(());
    }
    Err(IntakeError::InvalidDefinition(vec![kernel::FieldError::new(
        "slug",
        "invalid",
        "A slug has 2 to 60 lower-case letters, digits and dashes.",
    )]))
}
