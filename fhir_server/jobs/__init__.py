"""The job queue: what is done outside of a request. https://procrastinate.readthedocs.io/"""
