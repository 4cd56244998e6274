//! Values as they go to and come from either engine.

use postgres_types::{IsNull, ToSql, Type, private::BytesMut};
use upswing_domain::{InputHash, Position, Pseudonym, Timestamp, VersionId};
use uuid::Uuid;

use crate::StoreError;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    I64(i64),
    F64(f64),
    Text(String),
    /// Text that is one of a few.
    Name(&'static str),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    /// A column of values, for `UNNEST`. PostgreSQL alone.
    Column(Column),
}

/// A column of values of one type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    Bool(Vec<Option<bool>>),
    I64(Vec<Option<i64>>),
    F64(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Uuid(Vec<Option<Uuid>>),
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Bool,
    I64,
    F64,
    Text,
    Bytes,
    Uuid,
}

impl ColumnType {
    /// As PostgreSQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::I64 => "bigint",
            Self::F64 => "double precision",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::Uuid => "uuid",
        }
    }

    /// A value of this type, or NULL.
    pub(crate) fn fits(self, value: Value) -> Result<Value, StoreError> {
        match (self, &value) {
            (_, Value::Null)
            | (Self::Bool, Value::Bool(_))
            | (Self::I64, Value::I64(_))
            | (Self::F64, Value::F64(_))
            | (Self::Text, Value::Text(_) | Value::Name(_))
            | (Self::Bytes, Value::Bytes(_))
            | (Self::Uuid, Value::Uuid(_)) => Ok(value),
            _ => Err(wrong(self.name(), &value)),
        }
    }

    /// The values of one column out of rows.
    pub(crate) fn collect(self, values: impl Iterator<Item = Value>) -> Result<Column, StoreError> {
        macro_rules! gather {
            ($variant:ident $(, $also:pat => $make:expr)?) => {
                Column::$variant(
                    values
                        .map(|value| match value {
                            Value::Null => Ok(None),
                            Value::$variant(value) => Ok(Some(value)),
                            $($also => Ok(Some($make)),)?
                            other => Err(wrong(stringify!($variant), &other)),
                        })
                        .collect::<Result<_, _>>()?,
                )
            };
        }
        Ok(match self {
            Self::Bool => gather!(Bool),
            Self::I64 => gather!(I64),
            Self::F64 => gather!(F64),
            Self::Text => gather!(Text, Value::Name(name) => name.to_owned()),
            Self::Bytes => gather!(Bytes),
            Self::Uuid => gather!(Uuid),
        })
    }
}

fn wrong(expected: &str, value: &Value) -> StoreError {
    StoreError::Corrupt(format!("expected {expected}, found {value:?}"))
}

macro_rules! from {
    ($($from:ty => |$value:ident| $make:expr),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $make
            }
        }
    )*};
}

from! {
    bool => |v| Self::Bool(v),
    i64 => |v| Self::I64(v),
    f64 => |v| Self::F64(v),
    String => |v| Self::Text(v),
    &str => |v| Self::Text(v.to_owned()),
    Vec<u8> => |v| Self::Bytes(v),
    Uuid => |v| Self::Uuid(v),
    Timestamp => |v| Self::I64(v.0),
    Position => |v| Self::I64(v.0),
    VersionId => |v| Self::Bytes(v.0.to_vec()),
    Pseudonym => |v| Self::Bytes(v.0.to_vec()),
    InputHash => |v| Self::Bytes(v.0.to_vec()),
    [u8; 18] => |v| Self::Bytes(v.to_vec()),
    [u8; 32] => |v| Self::Bytes(v.to_vec()),
    upswing_domain::OrganisationId => |v| Self::Uuid(v.0),
    upswing_domain::AgentId => |v| Self::Uuid(v.0),
    upswing_domain::DecisionId => |v| Self::Uuid(v.0),
    upswing_domain::ExecutionId => |v| Self::Uuid(v.0),
    upswing_domain::FeedbackId => |v| Self::Uuid(v.0),
    upswing_domain::KeyId => |v| Self::Uuid(v.0),
    upswing_domain::ExperimentId => |v| Self::Uuid(v.0),
    upswing_domain::RolloutId => |v| Self::Uuid(v.0),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(v) => v.to_sql(ty, out),
            Self::I64(v) => v.to_sql(ty, out),
            Self::F64(v) => v.to_sql(ty, out),
            Self::Text(v) => v.to_sql(ty, out),
            Self::Name(v) => v.to_sql(ty, out),
            Self::Bytes(v) => v.to_sql(ty, out),
            Self::Uuid(v) => v.to_sql(ty, out),
            Self::Column(Column::Bool(v)) => v.to_sql(ty, out),
            Self::Column(Column::I64(v)) => v.to_sql(ty, out),
            Self::Column(Column::F64(v)) => v.to_sql(ty, out),
            Self::Column(Column::Text(v)) => v.to_sql(ty, out),
            Self::Column(Column::Bytes(v)) => v.to_sql(ty, out),
            Self::Column(Column::Uuid(v)) => v.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let fits = match self {
            Self::Null => true,
            Self::Bool(_) => *ty == Type::BOOL,
            Self::I64(_) => *ty == Type::INT8,
            Self::F64(_) => *ty == Type::FLOAT8,
            Self::Text(_) | Self::Name(_) => *ty == Type::TEXT,
            Self::Bytes(_) => *ty == Type::BYTEA,
            Self::Uuid(_) => *ty == Type::UUID,
            Self::Column(_) => matches!(ty.kind(), postgres_types::Kind::Array(_)),
        };
        if fits { self.to_sql(ty, out) } else { Err(format!("{self:?} given where {ty} is needed").into()) }
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(v) => ValueRef::Integer(i64::from(*v)),
            Self::I64(v) => ValueRef::Integer(*v),
            Self::F64(v) => ValueRef::Real(*v),
            Self::Text(v) => ValueRef::Text(v.as_bytes()),
            Self::Name(v) => ValueRef::Text(v.as_bytes()),
            Self::Bytes(v) => ValueRef::Blob(v),
            Self::Uuid(v) => ValueRef::Blob(v.as_bytes()),
            Self::Column(_) => {
                return Err(rusqlite::Error::ToSqlConversionFailure("a column is no SQLite value".into()));
            }
        }))
    }
}

/// One row of an answer, read from left to right.
#[derive(Debug)]
pub(crate) struct Row {
    values: std::vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter() }
    }

    /// The next column.
    pub(crate) fn take<T: FromValue>(&mut self) -> Result<T, StoreError> {
        let value = self.values.next().ok_or_else(|| StoreError::Corrupt("a row ended early".to_owned()))?;
        T::from_value(value)
    }

    /// Passes over columns.
    pub(crate) fn skip(&mut self, columns: usize) {
        self.values.by_ref().take(columns).for_each(drop);
    }
}

/// What a column can be read as.
pub(crate) trait FromValue: Sized {
    fn from_value(value: Value) -> Result<Self, StoreError>;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! read {
    ($($to:ty: $pattern:pat => $make:expr),* $(,)?) => {$(
        impl FromValue for $to {
            fn from_value(value: Value) -> Result<Self, StoreError> {
                match value {
                    $pattern => Ok($make),
                    other => Err(wrong(stringify!($to), &other)),
                }
            }
        }
    )*};
}

read! {
    i64: Value::I64(v) => v,
    f64: Value::F64(v) => v,
    String: Value::Text(v) => v,
    Vec<u8>: Value::Bytes(v) => v,
    Timestamp: Value::I64(v) => Timestamp(v),
    Position: Value::I64(v) => Position(v),
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Bool(v) => Ok(v),
            Value::I64(v) => Ok(v != 0),
            other => Err(wrong("bool", &other)),
        }
    }
}

impl FromValue for Uuid {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Uuid(v) => Ok(v),
            Value::Bytes(ref v) => Self::from_slice(v).map_err(|_| wrong("uuid", &value)),
            other => Err(wrong("uuid", &other)),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Bytes(v) => {
                Self::try_from(v.as_slice()).map_err(|_| wrong("bytes of another length", &Value::Bytes(v)))
            }
            other => Err(wrong("bytes", &other)),
        }
    }
}

impl FromValue for VersionId {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        <[u8; 32]>::from_value(value).map(Self)
    }
}

impl FromValue for Pseudonym {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        <[u8; 18]>::from_value(value).map(Self)
    }
}

impl FromValue for InputHash {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        <[u8; 32]>::from_value(value).map(Self)
    }
}

impl FromValue for upswing_domain::Reward {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        Ok(Self::from_millionths(i64::from_value(value)?)?)
    }
}

macro_rules! read_id {
    ($($id:ident),*) => {$(
        impl FromValue for upswing_domain::$id {
            fn from_value(value: Value) -> Result<Self, StoreError> {
                Uuid::from_value(value).map(Self)
            }
        }
    )*};
}

read_id!(OrganisationId, AgentId, DecisionId, ExecutionId, ExperimentId, FeedbackId, KeyId, RolloutId);
