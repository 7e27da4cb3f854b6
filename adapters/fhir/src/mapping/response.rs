use fhir_sdk::r4b::{
    codes::QuestionnaireResponseStatus,
    resources::{
        QuestionnaireResponse, QuestionnaireResponseItem, QuestionnaireResponseItemAnswer,
        QuestionnaireResponseItemAnswerValue as Value,
    },
    types::{Attachment, Quantity},
};
use kernel::code::system;
use records::{
    MappingError,
    sources::{AnswerValue, ResponseData, ResponseItem},
};

use super::parts::{date, identifier, kernel_coding, patient_reference, time, unsayable};

pub(super) fn questionnaire_response(
    data: &ResponseData,
) -> Result<QuestionnaireResponse, MappingError> {
    QuestionnaireResponse::builder()
        .id(data.response.to_string())
        .identifier(identifier(data.response.uuid())?)
        .questionnaire(data.questionnaire.clone())
        .status(QuestionnaireResponseStatus::Completed)
        .subject(patient_reference(data.patient)?)
        .source(patient_reference(data.patient)?)
        .authored(time(data.submitted_at)?)
        .item(items(&data.items)?)
        .build()
        .map_err(unsayable("a QuestionnaireResponse"))
}

fn items(items: &[ResponseItem]) -> Result<Vec<Option<QuestionnaireResponseItem>>, MappingError> {
    items.iter().map(|each| item(each).map(Some)).collect()
}

fn item(data: &ResponseItem) -> Result<QuestionnaireResponseItem, MappingError> {
    let answers = data.answers.iter().map(|each| answer(each).map(Some));
    let mut item = QuestionnaireResponseItem::builder()
        .link_id(data.link_id.clone())
        .answer(answers.collect::<Result<_, _>>()?)
        .item(items(&data.items)?);
    if let Some(text) = &data.text {
        item = item.text(text.clone());
    }
    item.build().map_err(unsayable("an item"))
}

fn answer(value: &AnswerValue) -> Result<QuestionnaireResponseItemAnswer, MappingError> {
    let value = match value {
        AnswerValue::Boolean(value) => Value::Boolean(*value),
        AnswerValue::Integer(value) => Value::Integer(*value),
        AnswerValue::Decimal(value) => Value::Decimal(*value),
        AnswerValue::Date(value) => Value::Date(date(*value)?),
        AnswerValue::Text(value) => Value::String(value.clone()),
        AnswerValue::Coding(value) => Value::Coding(kernel_coding(value)?),
        AnswerValue::Quantity { value, unit } => Value::Quantity(
            Quantity::builder()
                .value(*value)
                .unit(unit.clone())
                .system(system::UNITS.to_owned())
                .code(unit.clone())
                .build()
                .map_err(unsayable("a quantity"))?,
        ),
        AnswerValue::Attachment { url, content_type, size } => Value::Attachment(
            Attachment::builder()
                .url(url.clone())
                .content_type(content_type.clone())
                .size(*size)
                .build()
                .map_err(unsayable("an attachment"))?,
        ),
    };
    QuestionnaireResponseItemAnswer::builder().value(value).build().map_err(unsayable("an answer"))
}
