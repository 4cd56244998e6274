-- Accounts that acted in concert about an agent, or did so once: what a person is believed, and since when it is so.
CREATE TABLE author_trust (
    organisation {uuid} NOT NULL,
    agent {uuid} NOT NULL,
    author {bytes} NOT NULL,
    weight_millionths {i64} NOT NULL,
    distrusted {bool} NOT NULL,
    decided_at {i64} NOT NULL,
    -- The author's feedback does not all stand yet as was decided: it follows in pieces.
    pending {bool} NOT NULL,
    PRIMARY KEY (organisation, agent, author)
){clustered};
CREATE INDEX author_trust_pending ON author_trust (agent, organisation) WHERE pending;

-- What an author said of an agent, by standing, so that a piece reads only what it changes. Partial for the reason given
-- in 0001, and because only people who speak for themselves are weighed.
CREATE INDEX feedback_author ON feedback (author, agent, organisation, standing, position)
    WHERE author IS NOT NULL AND source = 'user';
