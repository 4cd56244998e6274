-- An execution's reward is what the ledger says of it last, how often its token was used is what its feedback says.
DROP TABLE outcome;
