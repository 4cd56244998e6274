-- What a text is about, as JSON in `content`, since keywords are words of the text: of an execution's input, and of what a
-- person wrote.
ALTER TABLE execution ADD COLUMN enrichment {bytes};
ALTER TABLE feedback ADD COLUMN enrichment {bytes};

-- What moderation found in a text that it let stand, as JSON: categories with their scores.
ALTER TABLE feedback ADD COLUMN flags {text};
CREATE INDEX feedback_flagged ON feedback (agent, organisation, position) WHERE flags IS NOT NULL;

-- Most executions have the id of their decision and are found by it: those pay nothing for this.
CREATE INDEX execution_decision ON execution (decision, organisation) WHERE decision <> id;
