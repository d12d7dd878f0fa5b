//! The types of columns: what they are in a row of ours, and how they go into and come out of the database.

use crate::{
    StoreError,
    session::{Columns, Read},
    statement::Value,
};

/// A moment: milliseconds since the beginning of 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochMs(pub i64);

/// An amount of money: billionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoDollars(pub i64);

/// A JSON document, as text. The store does not look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

/// A type that a column may have.
pub(crate) trait Field: Sized {
    fn take(columns: &mut Columns<'_>) -> Result<Self, StoreError>;
    fn give(&self) -> Value;
}

/// Fields that may be empty, and the same ones where they may not.
macro_rules! fields {
    ($($type:ty, $take:ident, $variant:ident, $into:expr, $out:expr;)+) => {
        $(impl Field for Option<$type> {
            fn take(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
                Ok(columns.$take()?.map($into))
            }
            fn give(&self) -> Value {
                Value::$variant(self.as_ref().map($out))
            }
        }
        impl Field for $type {
            fn take(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
                columns.$take()?.map($into).ok_or_else(|| StoreError::Broken("a column is empty that never is".to_owned()))
            }
            fn give(&self) -> Value {
                Value::$variant(Some($out(self)))
            }
        }
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                value.give()
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                value.give()
            }
        })+
    };
}

fields! {
    String, text, Text, |text| text, |text: &String| text.clone();
    i64, integer, Integer, |number| number, |number: &i64| *number;
    bool, boolean, Boolean, |truth| truth, |truth: &bool| *truth;
    Vec<u8>, blob, Blob, |bytes| bytes, |bytes: &Vec<u8>| bytes.clone();
    EpochMs, integer, Integer, EpochMs, |moment: &EpochMs| moment.0;
    NanoDollars, integer, Integer, NanoDollars, |money: &NanoDollars| money.0;
    Json, text, Text, Json, |json: &Json| json.0.clone();
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl Read for i64 {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Field::take(columns)
    }
}

impl Read for String {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Field::take(columns)
    }
}
