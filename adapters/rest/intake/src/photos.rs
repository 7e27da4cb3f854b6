//! Photos for the questions that ask for one.

use api::{Caller, Done, Mirror, PhotoUpload, Result, Tag, idempotency_key_on};
use chrono::{DateTime, Utc};
use intake::{MediaType, NewPhoto, Photo, photo};
use kernel::{CategoryId, FormResponseId, PhotoId};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path},
    payload::{Binary, Json, Payload as _},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type as _,
};
use sha2::{Digest as _, Sha256};

use super::IntakeServices;

/// A photo that a patient uploaded for a form.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormPhoto")]
#[mirror(from = Photo)]
pub struct PhotoView {
    pub id: PhotoId,
    /// The category whose form it was taken for.
    pub category_id: CategoryId,
    /// `image/jpeg`, `image/png` or `image/webp`.
    #[mirror(media_type)]
    pub content_type: String,
    /// In bytes, as it is handed out.
    pub size: u32,
    /// In pixels, before the photo is turned upright.
    pub width: u32,
    /// In pixels, before the photo is turned upright.
    pub height: u32,
    /// Where it is read.
    #[mirror(|photo| photo::address(photo.id))]
    pub url: String,
    /// The response that it is part of.
    pub response_id: Option<FormResponseId>,
    pub created_at: DateTime<Utc>,
    /// From when on it is removed, if no form is submitted with it before; a
    /// form that was begun keeps it for 90 days after it was last saved.
    #[mirror(|photo| photo.expires_at())]
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(ApiResponse)]
pub enum PhotoUploaded {
    /// The photo; the same one when the request is repeated with its key.
    #[oai(status = 201)]
    Taken(
        Json<PhotoView>,
        /// Where it is read.
        #[oai(header = "Location")]
        String,
    ),
}

/// The bytes of a photo, of whichever type it is.
pub struct PhotoFile {
    photo: Photo,
    bytes: Vec<u8>,
}

impl PhotoFile {
    /// The headers besides those that every answer has, which forbid to guess
    /// another type.
    const HEADERS: [(&'static str, &'static str); 2] = [
        ("CONTENT-DISPOSITION", "Names the file after the id of the photo."),
        ("CACHE-CONTROL", "`private, no-store`: it is kept nowhere on the way."),
    ];
}

impl IntoResponse for PhotoFile {
    fn into_response(self) -> Response {
        let Self { photo, bytes } = self;
        let name =
            format!("attachment; filename=\"{}.{}\"", photo.id, photo.media_type.extension());
        Response::builder()
            .content_type(<&'static str>::from(photo.media_type))
            .header("content-disposition", name)
            .header("cache-control", "private, no-store")
            .body(bytes)
    }
}

impl ApiResponse for PhotoFile {
    fn meta() -> MetaResponses {
        let content = MediaType::ALL.iter().copied().map(|media_type| MetaMediaType {
            content_type: media_type.into(),
            schema: Binary::<Vec<u8>>::schema_ref(),
        });
        let headers = Self::HEADERS.into_iter().map(|(name, description)| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        });
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The photo, without what it told of place, time and device.",
                status: Some(200),
                status_range: None,
                content: content.collect(),
                headers: headers.collect(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// Photos for forms.
pub struct PhotosApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl PhotosApi {
    /// Upload a photo for a form
    ///
    /// Takes `intake.submit`. The body is `multipart/form-data` with one part,
    /// `photo`. JPEG, PNG and WebP are taken, told apart by their content; 422
    /// names `photo` with `unsupported_type`, `unreadable` or
    /// `too_many_pixels`. All metadata but the orientation and the colour
    /// profile is removed. The photo waits for a submitted form whose answer
    /// names its id: seven days, and while the form is begun until 90 days
    /// after it was last saved. At most 30 wait at a time.
    #[oai(
        path = "/api/forms/categories/:category_id/photos",
        method = "post",
        operation_id = "uploadFormPhoto"
    )]
    async fn upload(
        &self,
        caller: Caller,
        category_id: Path<CategoryId>,
        #[oai(name = "Idempotency-Key")] idempotency: Header<String>,
        body: PhotoUpload,
    ) -> Result<PhotoUploaded> {
        let digest = hex::encode(Sha256::digest(&body.0));
        let key =
            idempotency_key_on("intake.upload_photo", category_id.0, &idempotency.0, &digest)?;
        let new = NewPhoto { category: category_id.0, bytes: body.0 };
        let IntakeServices { env, store, surroundings, vault, .. } = &self.0;
        let (store, around, actor) = (&**store, &**surroundings, caller.actor());
        let photo = intake::upload_photo(env, store, around, vault, actor, &key, new).await?;
        let place = photo::address(photo.id);
        Ok(PhotoUploaded::Taken(Json(photo.into()), place))
    }

    /// Read a photo
    ///
    /// One's own; of a submitted response also for whoever may read the
    /// response.
    #[oai(path = "/api/photos/:id", method = "get", operation_id = "getFormPhoto")]
    async fn read(&self, caller: Caller, id: Path<PhotoId>) -> Result<PhotoFile> {
        let (store, panel, vault) = (&*self.0.store, &*self.0.panel, &self.0.vault);
        let (photo, bytes) =
            intake::photo_content(store, panel, vault, caller.actor(), id.0).await?;
        Ok(PhotoFile { photo, bytes })
    }

    /// Delete one's own photo
    ///
    /// Takes `intake.submit`. A photo of a submitted response stays: 409.
    #[oai(path = "/api/photos/:id", method = "delete", operation_id = "deleteFormPhoto")]
    async fn delete(&self, caller: Caller, id: Path<PhotoId>) -> Result<Done> {
        intake::delete_photo(&*self.0.store, &self.0.vault, caller.actor(), id.0).await?;
        Ok(Done::Done)
    }
}
