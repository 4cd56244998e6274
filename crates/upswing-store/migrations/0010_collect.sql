-- What a product's record says went in, by a keyed hash: stays recognisable when the text itself is not kept.
CREATE TABLE input_hash (
    organisation {uuid} NOT NULL,
    execution {uuid} NOT NULL,
    -- Which of the run's inputs, as the record names it.
    name {text} NOT NULL,
    hash {bytes} NOT NULL,
    PRIMARY KEY (organisation, execution, name)
){clustered};

-- Documents of performance records keep their own retention: which texts they are.
CREATE INDEX feedback_performance ON feedback (details, organisation)
    WHERE details_kind = 'performance' AND details IS NOT NULL;
-- Profiles that nothing was added to for long.
CREATE INDEX profile_age ON profile (organisation, updated_at);
