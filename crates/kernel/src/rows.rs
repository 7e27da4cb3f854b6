//! Ids and words as columns of a row, for the adapter that stores them. Feature `rows`.

pub use sea_orm;

/// What a primary key needs that the derive of a column does not write.
macro_rules! primary_key {
    ($name:ident) => {
        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

pub(crate) use primary_key;

/// A word is stored as its text.
#[doc(hidden)]
#[macro_export]
macro_rules! word_in_rows {
    ($name:ident) => {
        impl From<$name> for $crate::rows::sea_orm::Value {
            fn from(word: $name) -> Self {
                word.word().into()
            }
        }

        impl $crate::rows::sea_orm::TryGetable for $name {
            fn try_get_by<I: $crate::rows::sea_orm::ColIdx>(
                row: &$crate::rows::sea_orm::QueryResult,
                index: I,
            ) -> Result<Self, $crate::rows::sea_orm::TryGetError> {
                let text = <String as $crate::rows::sea_orm::TryGetable>::try_get_by(row, index)?;
                text.parse().map_err(|_| {
                    let unknown = format!("{} is no {}", text, stringify!($name));
                    $crate::rows::sea_orm::DbErr::Type(unknown).into()
                })
            }
        }

        impl $crate::rows::sea_orm::sea_query::ValueType for $name {
            fn try_from(
                value: $crate::rows::sea_orm::Value,
            ) -> Result<Self, $crate::rows::sea_orm::sea_query::ValueTypeErr> {
                let text =
                    <String as $crate::rows::sea_orm::sea_query::ValueType>::try_from(value)?;
                text.parse().map_err(|_| $crate::rows::sea_orm::sea_query::ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> $crate::rows::sea_orm::sea_query::ArrayType {
                $crate::rows::sea_orm::sea_query::ArrayType::String
            }

            fn column_type() -> $crate::rows::sea_orm::sea_query::ColumnType {
                $crate::rows::sea_orm::sea_query::ColumnType::Text
            }
        }

        impl $crate::rows::sea_orm::sea_query::Nullable for $name {
            fn null() -> $crate::rows::sea_orm::Value {
                <String as $crate::rows::sea_orm::sea_query::Nullable>::null()
            }
        }

        impl $crate::rows::sea_orm::IntoActiveValue<$name> for $name {
            fn into_active_value(self) -> $crate::rows::sea_orm::ActiveValue<$name> {
                $crate::rows::sea_orm::ActiveValue::Set(self)
            }
        }
    };
}
