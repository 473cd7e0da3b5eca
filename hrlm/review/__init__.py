"""The review page: a local web server on which a person looks at results and corrects them."""
